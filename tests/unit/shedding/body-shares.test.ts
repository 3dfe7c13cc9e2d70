import { expect, test } from 'bun:test';
import { BodyShares } from '../../../src/shedding/body-shares.ts';
import { exchangeOf } from '../../support/exchange.ts';
import { principalOf } from '../../support/principal.ts';

const LARGE = 150_000;
const MEBIBYTE = 1_048_576;

function requestFrom(owner: string | null) {
  const { exchange } = exchangeOf();
  if (owner !== null) exchange.principal = principalOf(owner);
  return exchange;
}

/** Reserves large bodies of an owner until one is refused, and returns their exchanges. */
function fill(bodies: BodyShares, owner: string | null) {
  const reserved = [];
  for (let exchange = requestFrom(owner); bodies.reserveBytes(exchange, LARGE); exchange = requestFrom(owner))
    reserved.push(exchange);
  return reserved;
}

test('the large bodies of one owner leave room for those of others', () => {
  const bodies = new BodyShares();
  const greedy = fill(bodies, 'greedy');
  expect(greedy.length).toBeGreaterThan(1);
  expect(bodies.reserveBytes(requestFrom('modest'), LARGE)).toBe(true);
  expect(fill(bodies, null).length).toBeGreaterThan(0);
  for (const exchange of greedy) bodies.release(exchange);
  expect(bodies.reserveBytes(requestFrom('greedy'), LARGE)).toBe(true);
});

test('the large bodies of all owners together are bounded: at 2 MiB, nobody has room for another', () => {
  const bodies = new BodyShares();
  const [first, second, third] = ['first', 'second', 'third'].map(requestFrom);
  expect(bodies.reserveBytes(first!, MEBIBYTE)).toBe(true);
  expect(bodies.reserveBytes(second!, MEBIBYTE - 1)).toBe(true);
  expect(bodies.reserveBytes(third!, 20_000)).toBe(true);
  expect(bodies.hasRoom(requestFrom('newcomer'), 16_385)).toBe(false);
  bodies.release(third!);
  expect(bodies.hasRoom(requestFrom('newcomer'), 16_385)).toBe(true);
});

test('a body of 16 KiB is small, and one with a byte more is large', () => {
  const bodies = new BodyShares();
  const [full, small, large] = ['full', 'full', 'full'].map(requestFrom);
  expect(bodies.reserveBytes(full!, MEBIBYTE)).toBe(true);
  expect([bodies.reserveBytes(small!, 16_384), bodies.reserveBytes(large!, 16_385)]).toEqual([true, false]);
  expect([full, small, large].map((exchange) => exchange!.reservedBytes)).toEqual([MEBIBYTE, 0, 0]);
});

test('a large body takes room from others once it has arrived', () => {
  const bodies = new BodyShares();
  for (const owner of ['greedy', null, 'other'])
    for (let i = 0; i < 100; i++) expect(bodies.hasRoom(requestFrom(owner), LARGE)).toBe(true);
  const [first] = fill(bodies, 'greedy');
  expect(bodies.hasRoom(requestFrom('greedy'), LARGE)).toBe(false);
  expect(bodies.hasRoom(requestFrom('greedy'), 1000)).toBe(true);
  expect(bodies.hasRoom(requestFrom('modest'), LARGE)).toBe(true);
  bodies.release(first!);
  expect(bodies.hasRoom(requestFrom('greedy'), LARGE)).toBe(true);
});

test('small bodies are never refused, and a request releases once', () => {
  const bodies = new BodyShares();
  const [first] = fill(bodies, 'greedy');
  const small = requestFrom('greedy');
  expect(bodies.reserveBytes(small, 1000)).toBe(true);
  bodies.release(small);
  expect(bodies.reserveBytes(requestFrom('greedy'), LARGE)).toBe(false);
  bodies.release(first!);
  bodies.release(first!);
  expect(bodies.reserveBytes(requestFrom('greedy'), LARGE)).toBe(true);
  expect(bodies.reserveBytes(requestFrom('greedy'), LARGE)).toBe(false);
});

test('bodies of one owner that do not arrive leave permits to others', () => {
  const bodies = new BodyShares();
  const waitAll = (owner: string) => {
    const waiting = [];
    for (let one = requestFrom(owner); bodies.startArriving(one, 100); one = requestFrom(owner))
      waiting.push(one);
    return waiting;
  };
  const greedy = waitAll('greedy');
  expect(greedy).toHaveLength(50);
  expect(waitAll('modest')).toHaveLength(25);
  bodies.endArriving(greedy[0]!);
  bodies.release(greedy[0]!);
  expect(waitAll('late')).toHaveLength(13);
  // Each counts once, whether it has arrived, or has ended before it did.
  for (const exchange of greedy) {
    bodies.endArriving(exchange);
    bodies.release(exchange);
    expect(exchange.isArriving).toBe(false);
  }
  expect(waitAll('greedy')).toHaveLength(31);
  const [ended] = waitAll('last');
  expect(ended!.isArriving).toBe(true);
  bodies.release(ended!);
  expect(ended!.isArriving).toBe(false);
  expect(waitAll('last')).toHaveLength(1);
});

test('what a request without a key sends counts for all of them', () => {
  const bodies = new BodyShares();
  expect(bodies.reserveBytes(requestFrom(null), MEBIBYTE)).toBe(true);
  expect(bodies.reserveBytes(requestFrom(null), LARGE)).toBe(false);
  expect(bodies.startArriving(requestFrom(null), 2)).toBe(true);
  expect(bodies.startArriving(requestFrom(null), 2)).toBe(false);
  expect(bodies.startArriving(requestFrom('a'), 2)).toBe(true);
});

test('an owner that is paced sends its next large body when the time for the last one has passed', () => {
  const bodies = new BodyShares(() => true);
  const sends = (owner: string) => {
    const exchange = requestFrom(owner);
    const isReserved = bodies.reserveBytes(exchange, LARGE);
    // Refused by the handler in the same turn, so it is never seen in work.
    if (isReserved) bodies.release(exchange);
    return isReserved;
  };
  expect(sends('greedy')).toBe(true);
  expect(sends('greedy')).toBe(false);
  expect(sends('modest')).toBe(true);
  expect(bodies.reserveBytes(requestFrom('greedy'), 1000)).toBe(true);
  // 150,000 bytes at 4 MB/s, which is 4,096 per millisecond.
  bodies.update(36);
  expect(sends('greedy')).toBe(false);
  bodies.update(1);
  expect(sends('greedy')).toBe(true);
  bodies.update(1000);
  expect(sends('greedy')).toBe(true);
});

test('an owner that is no longer paced need not wait any more, and one without pace owes nothing', () => {
  let isPaced = true;
  const bodies = new BodyShares(() => isPaced);
  const sends = () => {
    const exchange = requestFrom('owner');
    const isReserved = bodies.reserveBytes(exchange, LARGE);
    bodies.release(exchange);
    return isReserved;
  };
  expect([sends(), sends()]).toEqual([true, false]);
  isPaced = false;
  expect([sends(), sends()]).toEqual([true, true]);
  bodies.update(1000);
  expect(sends()).toBe(true);
  isPaced = true;
  expect([sends(), sends()]).toEqual([true, false]);
});

test('an owner that has waited for its time owes nothing, to the byte', () => {
  const bodies = new BodyShares(() => true);
  const sends = () => {
    const exchange = requestFrom('owner');
    const isReserved = bodies.reserveBytes(exchange, 40_960);
    bodies.release(exchange);
    return isReserved;
  };
  expect(sends()).toBe(true);
  bodies.update(9.999);
  expect(sends()).toBe(false);
  bodies.update(0.001);
  expect(sends()).toBe(true);
});

test('an owner that is not paced sends large bodies one after another', () => {
  const bodies = new BodyShares();
  for (let i = 0; i < 100; i++) {
    const exchange = requestFrom('alone');
    expect(bodies.reserveBytes(exchange, LARGE)).toBe(true);
    bodies.release(exchange);
  }
});

test('callers without a key, and people without an organization, leave room for operators', () => {
  const bodies = new BodyShares();
  fill(bodies, null);
  const [person, operator] = [exchangeOf().exchange, exchangeOf().exchange];
  person.principal = principalOf('', { kind: 'session', userId: 'ada' });
  bodies.reserveBytes(person, LARGE);
  operator.principal = principalOf('', { kind: 'operator' });
  expect(bodies.reserveBytes(operator, LARGE)).toBe(true);
});
