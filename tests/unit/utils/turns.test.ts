import { expect, test } from 'bun:test';
import { Turns } from '../../../src/utils/turns.ts';

const tick = () => new Promise<void>((resolve) => setImmediate(resolve));

test('work for one key runs one after the other, in order, and that for others meanwhile', async () => {
  const turns = new Turns();
  const log: string[] = [];
  const work = (name: string) => async () => {
    log.push(`${name} starts`);
    await tick();
    log.push(`${name} ends`);
    return name;
  };
  const all = [turns.run('a', work('1')), turns.run('a', work('2')), turns.run('b', work('3'))];
  expect(await Promise.all(all)).toEqual(['1', '2', '3']);
  expect(log.filter((line) => !line.startsWith('3'))).toEqual(['1 starts', '1 ends', '2 starts', '2 ends']);
  expect(log.indexOf('3 starts')).toBeLessThan(log.indexOf('1 ends'));
});

test('work that fails lets the next one in, and nothing is remembered afterwards', async () => {
  const turns = new Turns();
  const failing = turns.run('a', () => Promise.reject(new Error('no')));
  const next = turns.run('a', () => Promise.resolve(1));
  expect(await failing.catch(({ message }: Error) => message)).toBe('no');
  expect(await next).toBe(1);
  await tick();
  expect(turns.size).toBe(0);
});

test('who stops waiting neither runs nor lets the next one in before its turn', async () => {
  const turns = new Turns();
  const { promise: first, resolve } = Promise.withResolvers<void>();
  const abort = new AbortController();
  const log: string[] = [];
  const running = turns.run('a', () => first);
  const left = turns.run('a', async () => void log.push('left'), abort.signal).catch(() => 'aborted');
  const last = turns.run('a', async () => void log.push('last'));
  abort.abort();
  expect(await left).toBe('aborted');
  await tick();
  expect(log).toEqual([]);
  resolve();
  await Promise.all([running, last]);
  expect(log).toEqual(['last']);
  await tick();
  expect(turns.size).toBe(0);
});
