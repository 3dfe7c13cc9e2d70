import { expect, test } from 'bun:test';
import { boundTurns } from '../../../src/cluster/bound-turns.ts';

const MANY = 2048;
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/** Sends requests that each take `requestMs` of the event loop. */
function responder(requestMs: number) {
  let nowMs = 0;
  const respond = (n: number) => {
    nowMs += requestMs;
    return new Response(`${n}`);
  };
  const bounded = boundTurns(respond, () => nowMs);
  return (count: number) => Array.from({ length: count }, (_, n) => bounded(n));
}

test('in a long turn, all but the first responses wait for its end, each request for its own', async () => {
  const responses = responder(0.02)(MANY);
  const waiting = responses.findIndex((response) => response instanceof Promise);
  expect(waiting).toBeGreaterThan(0);
  expect(waiting).toBeLessThanOrEqual(1024);
  expect(responses.slice(waiting).every((response) => response instanceof Promise)).toBe(true);
  const texts = await Promise.all(responses.map(async (response) => (await response).text()));
  expect(texts).toEqual(responses.map((_, n) => `${n}`));
});

test('after a long turn, and in turns that are not long, responses are immediate', async () => {
  const respond = responder(0.02);
  respond(MANY);
  for (let turn = 0; turn < 20; turn++) {
    await nextTurn();
    expect(respond(400).some((response) => response instanceof Promise)).toBe(false);
  }
  expect(responder(0.001)(MANY).some((response) => response instanceof Promise)).toBe(false);
});

test('what is asynchronous stays the promise it was', async () => {
  const pending = Promise.resolve(new Response());
  let nowMs = 0;
  const bounded = boundTurns(
    () => pending,
    () => nowMs++,
  );
  expect(Array.from({ length: MANY }, () => bounded()).every((response) => response === pending)).toBe(true);
});
