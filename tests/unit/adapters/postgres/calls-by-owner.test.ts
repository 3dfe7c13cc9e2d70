import { expect, test } from 'bun:test';
import { CallsByOwner } from '../../../../src/adapters/postgres/calls-by-owner.ts';
import { noteCaller } from '../../../../src/utils/signal-caller.ts';
import { fails, testDependency } from '../../../support/dependency.ts';
import { inVirtualTime, pass, settled } from '../../../support/virtual-time.ts';

// One owner may use two of them for queries, and one for transactions.
const CONNECTIONS = 4;
const never = () => new Promise<never>(() => {});

function create() {
  const { dependency } = testDependency({
    concurrencyMax: CONNECTIONS,
    failureThreshold: 1,
    onOpened: () => calls.refuseWaiting(),
  });
  const calls = new CallsByOwner(dependency, CONNECTIONS);
  return calls;
}

/** The signal of a request of an owner, and what aborts it. */
function request(owner: string) {
  const controller = new AbortController();
  noteCaller(controller.signal, { principal: { owner, kind: 'live' }, clientAddress: '' });
  return controller;
}

/** The signal of a request without a key. */
function anonymous(clientAddress: string) {
  const controller = new AbortController();
  noteCaller(controller.signal, { principal: null, clientAddress });
  return controller.signal;
}

/** Starts a query or transaction. Returns what is known of it. */
function start(
  calls: CallsByOwner,
  signal: AbortSignal | undefined,
  work: () => Promise<unknown>,
  operation: 'query' | 'transaction' = 'query',
) {
  const state = { isRunning: false, error: null as unknown };
  const running = () => {
    state.isRunning = true;
    return work();
  };
  calls.call(operation, signal, running, { signal }).catch((error: unknown) => (state.error = error));
  return state;
}

test('calls of one owner wait for each other, and neither those of others nor those of nobody', async () => {
  const calls = create();
  for (let i = 0; i < 2; i++) start(calls, request('a').signal, never);
  const third = start(calls, request('a').signal, never);
  const other = start(calls, request('b').signal, never);
  const nobodys = start(calls, undefined, never);
  await settled();
  expect([third, other, nobodys].map(({ isRunning }) => isRunning)).toEqual([false, true, true]);
});

test('callers without a key wait for those of their network only', async () => {
  const calls = create();
  const addresses = ['192.0.2.1', '192.0.2.1', '192.0.2.2', '2001:db8::1', '2001:db8::2'];
  const started = addresses.map((address) => start(calls, anonymous(address), never));
  const owners = start(calls, request('a').signal, never);
  await settled();
  expect([...started, owners].map(({ isRunning }) => isRunning)).toEqual([
    true,
    false,
    true,
    true,
    false,
    true,
  ]);
});

test('queries and transactions of one owner do not wait for each other', async () => {
  const calls = create();
  for (let i = 0; i < 2; i++) start(calls, request('a').signal, never, 'transaction');
  await settled();
  expect(calls.waiting).toBe(1);
  const query = start(calls, request('a').signal, never);
  await settled();
  expect(query.isRunning).toBe(true);
});

test('a call that ignores its cancellation has its slot until it is abandoned, and not for longer', () =>
  inVirtualTime(async () => {
    const calls = create();
    const requests = [request('a'), request('a')];
    for (const { signal } of requests) start(calls, signal, never);
    const next = start(calls, request('a').signal, never);
    for (const each of requests) each.abort(new Error('disconnected'));
    await pass(4990);
    expect(next.isRunning).toBe(false);
    await pass(20);
    expect(next.isRunning).toBe(true);
  }));

test('a call that ends before it starts leaves its slot to the next one', async () => {
  const calls = create();
  const running = Promise.withResolvers<void>();
  for (let i = 0; i < 2; i++) start(calls, request('a').signal, () => running.promise);
  const gone = request('a');
  const left = start(calls, gone.signal, never);
  const late = request('a');
  late.abort(new Error('too late'));
  const refused = start(calls, late.signal, never);
  await settled();
  expect(refused).toMatchObject({ isRunning: false, error: { message: 'too late' } });
  running.resolve();
  gone.abort(new Error('disconnected'));
  await settled();
  expect(left).toMatchObject({ isRunning: false, error: { message: 'disconnected' } });
  for (let i = 0; i < 2; i++) {
    const next = start(calls, request('a').signal, never);
    await settled();
    expect(next.isRunning).toBe(true);
  }
});

test('a call that is aborted while it waits for a connection leaves its slot to the next one', async () => {
  const calls = create();
  for (const owner of ['b', 'b', 'c', 'c']) start(calls, request(owner).signal, never);
  const gone = request('a');
  start(calls, gone.signal, never);
  await settled();
  gone.abort(new Error('disconnected'));
  await settled();
  for (let i = 0; i < 2; i++) start(calls, request('a').signal, never);
  await settled();
  expect(calls.waiting).toBe(0);
});

test('what waits is refused at once when PostgreSQL is found unavailable, even if what runs never ends', async () => {
  const calls = create();
  for (let i = 0; i < 2; i++) start(calls, request('a').signal, never);
  const waiting = start(calls, request('a').signal, never);
  const failing = start(calls, request('b').signal, fails);
  await settled();
  const later = start(calls, request('a').signal, never);
  await settled();
  expect(failing.error).toMatchObject({ name: 'ConnectionLost' });
  expect(waiting).toMatchObject({ isRunning: false, error: { code: 'dependency_unavailable' } });
  expect(later).toMatchObject({ isRunning: false, error: { name: 'Unavailable' } });
  expect(calls.waiting).toBe(0);
});

test('an owner that reads large pages fast gets one at a time, and others as many as before', () =>
  inVirtualTime(async () => {
    const calls = create();
    const page = async () => [{ bytesSoFar: 1_048_576 }];
    for (let i = 0; i < 3; i++) start(calls, request('a').signal, page);
    await settled();
    const running = Promise.withResolvers<void>();
    const first = start(calls, request('a').signal, () => running.promise.then(page));
    const second = start(calls, request('a').signal, page);
    const others = [1, 2].map(() => start(calls, request('b').signal, never));
    await pass(50);
    expect([first, second, ...others].map(({ isRunning }) => isRunning)).toEqual([true, false, true, true]);
    running.resolve();
    await pass(40);
    // For as long as the first one took.
    expect(second.isRunning).toBe(false);
    await pass(30);
    expect(second.isRunning).toBe(true);
  }));
