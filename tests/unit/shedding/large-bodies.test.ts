import { expect, test } from 'bun:test';
import { LargeBodies } from '../../../src/shedding/large-bodies.ts';
import { exchangeOf } from '../../support/exchange.ts';

const LARGE = 150_000;

function requestFrom(owner: string | null) {
  const { exchange } = exchangeOf();
  if (owner !== null) exchange.principal = { owner, keyId: 'key', scopes: [] };
  return exchange;
}

/** Reserves large bodies of an owner until one is refused, and returns their exchanges. */
function fill(bodies: LargeBodies, owner: string | null) {
  const reserved = [];
  for (let exchange = requestFrom(owner); bodies.reserve(exchange, LARGE); exchange = requestFrom(owner))
    reserved.push(exchange);
  return reserved;
}

test('the large bodies of one owner leave room for those of others', () => {
  const bodies = new LargeBodies();
  const greedy = fill(bodies, 'greedy');
  expect(greedy.length).toBeGreaterThan(1);
  expect(bodies.reserve(requestFrom('modest'), LARGE)).toBe(true);
  expect(fill(bodies, null).length).toBeGreaterThan(0);
  for (const exchange of greedy) bodies.release(exchange);
  expect(bodies.reserve(requestFrom('greedy'), LARGE)).toBe(true);
});

test('small bodies are never refused, and a request releases once', () => {
  const bodies = new LargeBodies();
  const [first] = fill(bodies, 'greedy');
  const small = requestFrom('greedy');
  expect(bodies.reserve(small, 1000)).toBe(true);
  bodies.release(small);
  expect(bodies.reserve(requestFrom('greedy'), LARGE)).toBe(false);
  bodies.release(first!);
  bodies.release(first!);
  expect(bodies.reserve(requestFrom('greedy'), LARGE)).toBe(true);
  expect(bodies.reserve(requestFrom('greedy'), LARGE)).toBe(false);
});
