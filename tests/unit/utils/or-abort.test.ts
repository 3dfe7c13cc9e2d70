import { expect, test } from 'bun:test';
import { getEventListeners } from 'node:events';
import { orAbort } from '../../../src/utils/or-abort.ts';

const forever = new Promise<never>(() => {});

test('it settles with the result, the failure or the abort, whichever is first', async () => {
  const { signal } = new AbortController();
  expect(await orAbort(Promise.resolve(7), signal)).toBe(7);
  await expect(orAbort(Promise.reject(new Error('it broke')), signal)).rejects.toThrow('it broke');
  const given = new AbortController();
  const waiting = orAbort(forever, given.signal);
  given.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
});

test('a signal that has already aborted rejects', async () => {
  await expect(orAbort(forever, AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
});

test('a long-lived signal keeps no listener of completed work', async () => {
  const { signal } = new AbortController();
  for (let i = 0; i < 10; i++) await orAbort(Promise.resolve(i), signal);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});
