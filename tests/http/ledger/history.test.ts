import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type EntryResource, readEntries, readJson, readStatement } from '../../support/history-steps.ts';
import {
  type AccountResource,
  newKey,
  openAccount,
  postBatch,
  postTransfer,
  type TransferResource,
} from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { expectProblem } from '../problem-assertions.ts';

const DAY_MS = 86_400_000;
const STEP = 256;

let atlas: TestApp;
let payer: AccountResource;
beforeAll(async () => {
  atlas = await startTestApp();
  payer = await openAccount(atlas);
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const daysAgo = (days: number) => new Date(Date.now() - days * DAY_MS).toISOString();

async function pay(
  id: string,
  amount: number,
  content: object = {},
): Promise<TransferResource & { effectiveAt: string }> {
  const order = { debitAccountId: payer.id, creditAccountId: id, amount, ...content };
  const response = await postTransfer(atlas, order);
  expect(response.status).toBe(201);
  return (await response.json()) as TransferResource & { effectiveAt: string };
}

/** An account with so many entries of 1 each. */
async function openWith(entries: number): Promise<string> {
  const { id } = await openAccount(atlas);
  for (let left = entries; left > 0; left -= 1000) {
    const transfers = Array.from({ length: Math.min(left, 1000) }, () => ({
      debitAccountId: payer.id,
      creditAccountId: id,
      amount: 1,
    }));
    expect((await postBatch(atlas, { transfers })).status).toBe(200);
  }
  return id;
}

describe('the time of effect of a transfer', () => {
  test('is that of the posting, unless the request says otherwise', async () => {
    const { id } = await openAccount(atlas);
    const usual = await pay(id, 1);
    expect(usual.effectiveAt).toBe(usual.createdAt);
    const backDated = await pay(id, 2, { effectiveAt: new Date(Date.now() - DAY_MS).toISOString() });
    expect(Date.parse(backDated.createdAt) - Date.parse(backDated.effectiveAt)).toBeGreaterThanOrEqual(
      DAY_MS,
    );
    expect(await readJson<object>(atlas, `/v1/transfers/${backDated.id}`)).toEqual(backDated);
  });

  test('is one moment, however it is written, and part of what a key stands for', async () => {
    const { id } = await openAccount(atlas);
    const effectiveAt = `${daysAgo(2).slice(0, 19)}.500Z`;
    const order = { debitAccountId: payer.id, creditAccountId: id, amount: 5, effectiveAt };
    const key = newKey();
    const first = await postTransfer(atlas, order, key);
    expect(first.status).toBe(201);
    const [day, time] = [effectiveAt.slice(0, 10), effectiveAt.slice(11, 23)];
    const replay = await postTransfer(atlas, { ...order, effectiveAt: `${day}T${time}+00:00` }, key);
    expect(replay.headers.get('idempotency-replayed')).toBe('true');
    expect(await replay.json()).toEqual(await first.json());
    const { effectiveAt: _, ...without } = order;
    await expectProblem(atlas, await postTransfer(atlas, without, key), 422, 'idempotency_key_reused');
  });

  test('is neither in the future nor longer ago than the setting allows, and nothing is posted then', async () => {
    const { id } = await openAccount(atlas);
    for (const effectiveAt of [new Date(Date.now() + 60_000).toISOString(), daysAgo(31.01)]) {
      const order = { debitAccountId: payer.id, creditAccountId: id, amount: 5, effectiveAt };
      const problem = await expectProblem(
        atlas,
        await postTransfer(atlas, order),
        422,
        'effective_at_not_allowed',
      );
      expect(problem.errors).toMatchObject([{ pointer: '/effectiveAt' }]);
      const batch = await postBatch(atlas, { transfers: [{ ...order, effectiveAt: daysAgo(1) }, order] });
      const refused = await expectProblem(atlas, batch, 422, 'effective_at_not_allowed');
      expect(refused.errors).toMatchObject([{ pointer: '/transfers/1/effectiveAt' }]);
    }
    expect(await readEntries(atlas, id)).toEqual([]);
  });
});

describe('a balance', () => {
  test('of a moment before the first entry is 0, and one in the future is refused', async () => {
    const { id } = await openAccount(atlas);
    await pay(id, 7);
    const path = `/v1/accounts/${id}/balance`;
    expect(await readJson(atlas, path, { at: daysAgo(1) })).toMatchObject({ balance: 0, version: 0 });
    expect(await readJson(atlas, path)).toMatchObject({ balance: 7, version: 1, by: 'recorded' });
    for (const name of ['at', 'effectiveAt']) {
      const future = new Date(Date.now() + 60_000).toISOString();
      await expectProblem(
        atlas,
        await atlas.call('GET', `${path}?${name}=${future}`),
        422,
        'moment_in_future',
      );
    }
    const both = await atlas.call('GET', `${path}?at=${daysAgo(1)}&effectiveAt=${daysAgo(1)}`);
    await expectProblem(atlas, both, 400, 'invalid_request');
  });

  test('by time of recording is not changed by what is back-dated later; by time of effect it is', async () => {
    const { id } = await openAccount(atlas);
    const { createdAt } = await pay(id, 7);
    await pay(id, 5, { effectiveAt: daysAgo(2) });
    const path = `/v1/accounts/${id}/balance`;
    expect(await readJson(atlas, path, { at: daysAgo(1) })).toMatchObject({ balance: 0 });
    expect(await readJson(atlas, path, { effectiveAt: daysAgo(1) })).toMatchObject({
      balance: 5,
      version: 2,
    });
    expect(await readJson(atlas, path, { effectiveAt: daysAgo(3) })).toMatchObject({ balance: 0 });
    expect(await readJson(atlas, path, { effectiveAt: createdAt })).toMatchObject({ balance: 12 });
  });
});

test('nothing of an account of others shows: it is like one that does not exist', async () => {
  const { id } = await openAccount(atlas);
  await pay(id, 7);
  const others = await atlas.as('others');
  for (const path of ['entries', 'balance', 'statement', 'statement?format=csv', 'statement?format=pdf']) {
    const response = await others.call('GET', `/v1/accounts/${id}/${path}`);
    await expectProblem(atlas, response, 404, 'account_not_found');
  }
});

test('a cursor of another statement is refused', async () => {
  const { id } = await openAccount(atlas);
  await pay(id, 7);
  const path = `/v1/accounts/${id}/statement?cursor=s${'0'.repeat(12)}${'f'.repeat(37)}`;
  await expectProblem(atlas, await atlas.call('GET', path), 400, 'invalid_request', ['/query/cursor']);
  const entries = await readJson<{ entries: unknown[] }>(atlas, `/v1/accounts/${id}/entries`, {
    cursor: `e${'f'.repeat(12)}`,
    sort: 'version',
  });
  expect(entries.entries).toEqual([]);
});

describe('entries of earlier releases, which have no balance', () => {
  /** Removes what the releases before did not write. */
  async function forgetBalances(): Promise<void> {
    await atlas.sql.begin(async (sql) => {
      await sql`ALTER TABLE transfers DISABLE TRIGGER transfers_immutable`;
      await sql`UPDATE transfers SET debit_balance = NULL, credit_balance = NULL`;
      await sql`ALTER TABLE transfers ENABLE TRIGGER transfers_immutable`;
      await sql`UPDATE balance_backfill SET account_id = NULL, is_done = false`;
    });
  }
  const balances = (entries: readonly EntryResource[]) => entries.map(({ balance }) => balance);
  const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

  test('get it from the entries before them, with and without checkpoints, whatever step was the last', async () => {
    const count = 2 * STEP + 100;
    const id = await openWith(count);
    await forgetBalances();
    await pay(id, 1);
    const check = async () => {
      const entries = await readEntries(atlas, id, { limit: 200, sort: 'version' });
      expect(balances(entries)).toEqual(upTo(count + 1));
      const { createdAt } = entries[count]!;
      const before = new Date(Date.parse(createdAt) - 1).toISOString();
      expect(await readJson(atlas, `/v1/accounts/${id}/balance`, { at: before })).toMatchObject({
        balance: count,
      });
      const statement = await readStatement(atlas, id, { limit: 200 });
      expect(balances(statement.entries)).toEqual(upTo(count + 1));
    };
    await check();
    // One that was rolled back, as by a killed process, and then small steps.
    await atlas.sql
      .begin(async (sql) => {
        await sql`SELECT backfill_balances(1000)`;
        await sql`SAVEPOINT here`;
        throw new Error('killed');
      })
      .catch(() => {});
    const found = () => atlas.sql<{ version: number; balance: number }[]>`
      SELECT version, balance FROM balance_checkpoints WHERE account_id = ${id} ORDER BY version`;
    expect([...(await found())]).toEqual([]);
    for (let isDone = false; !isDone; ) {
      const [row] = await atlas.sql<[{ isDone: boolean }]>`SELECT is_done FROM backfill_balances(100)`;
      isDone = row.isDone;
    }
    expect([...(await found())]).toEqual([STEP, 2 * STEP].map((version) => ({ version, balance: version })));
    await check();
    // The job has nothing left to do.
    await atlas.jobs.find(({ name }) => name === 'write balances of earlier entries')!.run();
    expect(await found()).toHaveLength(2);
  });
});

describe('a statement as CSV', () => {
  const inProgress = async () => {
    const response = await atlas.call('GET', '/metrics');
    return Number(/^atlas_ledger_statements_in_progress(?:\{.*\})? (\d+)$/m.exec(await response.text())![1]);
  };

  test('has no cell that a spreadsheet would run, but numbers below zero', async () => {
    const { id } = await openAccount(atlas);
    await pay(id, 3, { reference: '=1+1' });
    await pay(id, 4, { reference: 'a "b", c' });
    const csv = await (await atlas.call('GET', `/v1/accounts/${payer.id}/statement?format=csv`)).text();
    expect(csv).toContain(",'=1+1\r\n");
    expect(csv).toContain(',"a ""b"", c"\r\n');
    expect(csv).toMatch(/\r\nclosing,,\S+,\S+,,,-\d+,,,\r\n$/);
  });

  test('is what the Accept header asks for, and never compressed, which would hold all of it in memory', async () => {
    const headers = { Accept: 'text/csv;q=1, */*', 'Accept-Encoding': 'gzip' };
    const response = await atlas.call('GET', `/v1/accounts/${payer.id}/statement`, { headers });
    expect(response.headers.get('content-type')).toBe('text/csv; charset=utf-8');
    expect(response.headers.get('content-encoding')).toBeNull();
    expect(response.headers.get('content-disposition')).toContain('.csv"');
    await response.body!.cancel();
  });

  test('ends when nobody reads it any more, and an owner leaves slots to others', async () => {
    const id = await openWith(2500);
    const path = `/v1/accounts/${id}/statement?format=csv`;
    const open: Response[] = [];
    let refused: Response | null = null;
    while (refused === null && open.length <= 32) {
      const response = await atlas.call('GET', path);
      if (response.status === 200) open.push(response);
      else refused = response;
    }
    await expectProblem(atlas, refused!, 429, 'overloaded');
    expect(refused!.headers.get('retry-after')).toMatch(/^[1-9]$/);
    const others = await atlas.as('neighbors');
    const theirs = await openAccount(others);
    const served = await others.call('GET', `/v1/accounts/${theirs.id}/statement?format=csv`);
    expect((await served.text()).split('\r\n')).toHaveLength(4);
    const reader = open[0]!.body!.getReader();
    expect((await reader.read()).done).toBe(false);
    await reader.cancel();
    for (const { body } of open.slice(1)) await body!.cancel();
    await until(async () => (await inProgress()) === 0);
  });
});

describe('a statement as PDF', () => {
  test('is a document of its own type, and of at most 10,000 entries', async () => {
    const id = await openWith(1);
    const response = await atlas.call('GET', `/v1/accounts/${id}/statement?format=pdf`);
    expect(response.headers.get('content-type')).toBe('application/pdf');
    const bytes = Buffer.from(await response.arrayBuffer());
    expect(bytes.subarray(0, 5).toString()).toBe('%PDF-');
    expect(bytes.toString('latin1')).toContain('/Count 1');
    const long = await openWith(10_001);
    await expectProblem(
      atlas,
      await atlas.call('GET', `/v1/accounts/${long}/statement?format=pdf`),
      422,
      'statement_too_long',
    );
  }, 60_000);
});
