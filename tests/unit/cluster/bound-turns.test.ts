import { expect, test } from 'bun:test';
import { boundTurns } from '../../../src/cluster/bound-turns.ts';

const MANY = 2048;
const TURN_MS_MAX = 20;
// Turns are timed after some requests, so these may be as slow as they like.
const REQUESTS_MIN = 40;
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));
const NO_GATE = { shut() {}, open() {} };
const isHeld = (response: Response | Promise<Response>) => response instanceof Promise;

/** Sends requests that each take `requestMs` of the event loop. */
function responder(requestMs: number, gate = NO_GATE, signal = new AbortController().signal) {
  let nowMs = 0;
  const respond = ({ n }: { n: number; signal: AbortSignal }) => {
    nowMs += requestMs;
    return new Response(`${n}`);
  };
  const bounded = boundTurns(respond, gate, () => nowMs);
  return (count: number) => Array.from({ length: count }, (_, n) => bounded({ n, signal }));
}

/** Connections that each send the next request as soon as they have a response. Returns the requests of each turn. */
async function requestsOfTurns(connections: number, turns: number, requestMs: number): Promise<number[]> {
  const respond = responder(requestMs);
  const requests: number[] = [];
  let ready = connections;
  for (let turn = 0; turn < turns; turn++) {
    requests.push(ready);
    const responses = respond(ready);
    ready = responses.filter((response) => !isHeld(response)).length;
    for (const response of responses) void Promise.resolve(response).then(() => isHeld(response) && ready++);
    await nextTurn();
  }
  return requests;
}

test('in a long turn, all but the first responses wait for its end, each request for its own', async () => {
  const responses = responder(0.02)(MANY);
  const waiting = responses.findIndex(isHeld);
  expect(waiting).toBeGreaterThan(0);
  expect(waiting).toBeLessThanOrEqual(1024);
  expect(responses.slice(waiting).every(isHeld)).toBe(true);
  const texts = await Promise.all(responses.map(async (response) => (await response).text()));
  expect(texts).toEqual(responses.map((_, n) => `${n}`));
});

test.each([0.02, 0.2, 1])(
  'with thousands of connections that send the next request with each response, turns stay short (%p ms a request)',
  async (requestMs) => {
    const [first, ...later] = await requestsOfTurns(MANY, 200, requestMs);
    expect(first).toBe(MANY);
    const longestMs = Math.max(TURN_MS_MAX, REQUESTS_MIN * requestMs);
    for (const count of later) expect(count * requestMs).toBeLessThanOrEqual(longestMs);
    // No turn is wasted either.
    expect(Math.min(...later)).toBeGreaterThan(0);
  },
);

test('what waits is responded to in the order of arrival, also before what arrives later', async () => {
  const respond = responder(0.02);
  const order: string[] = [];
  const note = (name: string) => (response: Response | Promise<Response>) =>
    void Promise.resolve(response).then(() => order.push(name));
  const early = respond(MANY).filter(isHeld);
  early.forEach(note('early'));
  await nextTurn();
  const late = respond(4);
  expect(late.every(isHeld)).toBe(true);
  late.forEach(note('late'));
  await Promise.all([...early, ...late]);
  expect(order).toEqual([...early.map(() => 'early'), ...late.map(() => 'late')]);
});

test('after long turns, and in turns that are not long, responses are immediate', async () => {
  const respond = responder(0.02);
  await Promise.all(respond(MANY));
  for (let turn = 0; turn < 20; turn++) {
    await nextTurn();
    expect(respond(100).some(isHeld)).toBe(false);
  }
  expect(responder(0.001)(MANY).some(isHeld)).toBe(false);
});

test('in a long turn, what takes longer than the turn does not wait again, and what does not waits', async () => {
  let nowMs = 0;
  const { signal } = new AbortController();
  const slow = Promise.withResolvers<Response>();
  const bounded = boundTurns(
    ({ isSlow }: { isSlow: boolean; signal: AbortSignal }) =>
      isSlow ? slow.promise : Promise.resolve(new Response()),
    NO_GATE,
    () => nowMs++,
  );
  const settled: string[] = [];
  for (let n = 0; n < MANY; n++)
    void Promise.resolve(bounded({ isSlow: false, signal })).then(
      () => n === MANY - 1 && settled.push('fast'),
    );
  void Promise.resolve(bounded({ isSlow: true, signal })).then(() => settled.push('slow'));
  await nextTurn();
  slow.resolve(new Response());
  await Promise.resolve();
  await Promise.resolve();
  await Promise.resolve();
  expect(settled).toEqual(['slow']);
  while (settled.length < 2) await nextTurn();
  expect(settled).toEqual(['slow', 'fast']);
});

test('a long turn accepts no other connections until its end, and a short one all', async () => {
  const changes: string[] = [];
  let isShut = false;
  const gate = {
    shut() {
      if (!isShut) changes.push('shut');
      isShut = true;
    },
    open() {
      if (isShut) changes.push('open');
      isShut = false;
    },
  };
  responder(0.001, gate)(MANY);
  await nextTurn();
  expect(changes).toEqual([]);
  responder(0.2, gate)(MANY);
  expect(changes).toEqual(['shut']);
  await nextTurn();
  expect(changes).toEqual(['shut', 'open']);
});

test('a request gets its connection, and the time if it was read for its turn', async () => {
  let nowMs = 0;
  const seen: { connection: string | undefined; readMs: number | undefined; nowMs: number }[] = [];
  const bounded = boundTurns(
    (_request: { signal: AbortSignal }, connection?: string, readMs?: number) => {
      seen.push({ connection, readMs, nowMs });
      return new Response();
    },
    NO_GATE,
    () => ++nowMs,
  );
  const { signal } = new AbortController();
  for (let n = 0; n < REQUESTS_MIN; n++) bounded({ signal }, `${n}`);
  expect(seen.map(({ connection }) => connection)).toEqual(seen.map((_, n) => `${n}`));
  const read = seen.filter(({ readMs }) => readMs !== undefined);
  expect(read.length).toBe(nowMs);
  for (const one of read) expect(one.readMs).toBe(one.nowMs);
  await nextTurn();
});

test('what waits for clients that are gone delays nobody', async () => {
  const gone = new AbortController();
  let nowMs = 0;
  const bounded = boundTurns(
    (_request: { signal: AbortSignal }) => {
      nowMs += 1;
      return new Response();
    },
    NO_GATE,
    () => nowMs,
  );
  for (let n = 0; n < MANY; n++) bounded({ signal: gone.signal });
  gone.abort();
  let isReleased = false;
  const response = bounded(new Request('http://atlas.test'));
  expect(isHeld(response)).toBe(true);
  void Promise.resolve(response).then(() => {
    isReleased = true;
  });
  await nextTurn();
  await nextTurn();
  expect(isReleased).toBe(true);
});
