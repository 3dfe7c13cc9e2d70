import { beforeAll, expect, test } from 'bun:test';
import { connect } from 'node:net';
import { freePort } from '../../../infra/free-port.ts';
import { listen } from '../../../src/cluster/listener.ts';
import { freshDatabase } from '../../support/database.ts';
import { newKey, openAccount } from '../../support/ledger-steps.ts';
import { lockTable } from '../../support/table-lock.ts';
import { START_TIMEOUT_MS, startTestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { expectProblem } from '../problem-assertions.ts';

const BATCHES = 12;

beforeAll(() => freshDatabase(), START_TIMEOUT_MS);

test('large batches of one owner beyond its share are refused, and those of others are posted', async () => {
  const atlas = await startTestApp();
  const [from, to] = [await openAccount(atlas), await openAccount(atlas)];
  const transfers = Array.from({ length: 1000 }, () => ({
    debitAccountId: from.id,
    creditAccountId: to.id,
    amount: 1,
  }));
  const modest = await atlas.key(undefined, 'modest');
  const post = (headers: Record<string, string>, items = transfers) =>
    atlas.call('POST', '/v1/transfers/batch', {
      json: { transfers: items },
      headers: { 'Idempotency-Key': newKey(), ...headers },
    });
  const lock = await lockTable(atlas.deps.databaseUrl, 'accounts');
  const refused: Response[] = [];
  const greedy = Array.from({ length: BATCHES }, async () => {
    const response = await post({});
    // The queue no room for all that are admitted.
    if (response.headers.has('ratelimit')) refused.push(response);
    return response.status;
  });
  await lock.waiters(1);
  await until(() => refused.length > 0);
  const problem = await expectProblem(atlas, refused[0]!, 429, 'overloaded');
  expect(problem.detail).toContain('fewer at a time');
  expect(Number(refused[0]!.headers.get('retry-after'))).toBeWithin(1, 4);
  // Neither a large batch of another owner nor a small one of the same owner is refused.
  const others = [post({ Authorization: `Bearer ${modest}` }), post({}, transfers.slice(0, 3))];
  await lock.release();
  expect((await Promise.all(others)).map(({ status }) => status)).toEqual([200, 200]);
  const statuses = await Promise.all(greedy);
  expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(2);
  expect(new Set(statuses)).toEqual(new Set([200, 429]));
  const metrics = await (await atlas.call('GET', '/metrics')).text();
  expect(metrics).toMatch(
    /atlas_shedding_decisions_total\{tier="critical",decision="refused",reason="share"\} [1-9]/,
  );
  // Everything was released.
  expect((await post({})).status).toBe(200);
  await atlas.close();
});

test('requests of one key whose bodies do not arrive leave permits to others', async () => {
  const atlas = await startTestApp({ LOAD_SHEDDING_MAX_CONCURRENT: '40' });
  const port = await freePort();
  const listener = listen(atlas, { ...atlas.deps, config: { ...atlas.deps.config, API_PORT: port } });
  const [greedy, modest] = [await atlas.key(), await atlas.key(undefined, 'modest')];
  const own = await atlas.as('modest');
  const [from, to] = [await openAccount(own), await openAccount(own)];
  let refused = 0;
  const sockets = Array.from({ length: 100 }, (_, i) => {
    const socket = connect(port, '127.0.0.1');
    const head = [
      'POST /v1/transfers HTTP/1.1',
      'Host: atlas.test',
      `Authorization: Bearer ${greedy}`,
      `Idempotency-Key: idle-${i}`,
      'Content-Type: application/json',
      'Content-Length: 100',
    ];
    socket.write(`${head.join('\r\n')}\r\n\r\n`);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      if (chunk.toString().startsWith('HTTP/1.1 429')) refused++;
    });
    return socket;
  });
  await until(() => refused >= 60);
  const post = () =>
    fetch(`http://127.0.0.1:${port}/v1/transfers`, {
      method: 'POST',
      body: JSON.stringify({ debitAccountId: from.id, creditAccountId: to.id, amount: 1 }),
      headers: {
        Authorization: `Bearer ${modest}`,
        'Content-Type': 'application/json',
        'Idempotency-Key': newKey(),
      },
    });
  const posted = await Promise.all([post(), post(), post()]);
  expect(posted.map(({ status }) => status)).toEqual([201, 201, 201]);
  for (const socket of sockets) socket.destroy();
  await until(() => atlas.admission.stats().inFlight === 0);
  await listener.stop();
  await atlas.close();
});

test('large bodies that do not arrive, without a key or with one, leave room to those of others', async () => {
  const atlas = await startTestApp();
  const port = await freePort();
  const listener = listen(atlas, { ...atlas.deps, config: { ...atlas.deps.config, API_PORT: port } });
  const [greedy, modest] = [await atlas.key(), await atlas.key(undefined, 'modest')];
  const [from, to] = [await openAccount(atlas), await openAccount(atlas)];
  const idle = (path: string, headers: readonly string[]) => {
    const socket = connect(port, '127.0.0.1');
    const head = [`POST ${path} HTTP/1.1`, 'Host: atlas.test', 'Content-Length: 1048576', ...headers];
    socket.on('error', () => {});
    socket.write(`${head.join('\r\n')}\r\n\r\n{`);
    return socket;
  };
  const withKey = [
    `Authorization: Bearer ${greedy}`,
    'Idempotency-Key: idle',
    'Content-Type: application/json',
  ];
  const sockets = Array.from({ length: 8 }, () => [
    idle('/none', []),
    idle('/v1/transfers/batch', withKey),
  ]).flat();
  await until(() => atlas.admission.stats().inFlight >= 2);
  const transfer = { debitAccountId: from.id, creditAccountId: to.id, amount: 1 };
  const response = await fetch(`http://127.0.0.1:${port}/v1/transfers/batch`, {
    method: 'POST',
    body: JSON.stringify({ transfers: Array.from({ length: 1000 }, () => transfer) }),
    headers: {
      Authorization: `Bearer ${modest}`,
      'Content-Type': 'application/json',
      'Idempotency-Key': newKey(),
    },
  });
  expect(response.status).toBe(200);
  for (const socket of sockets) socket.destroy();
  await until(() => atlas.admission.stats().inFlight === 0);
  await listener.stop();
  await atlas.close();
});
