import { afterAll, beforeAll, expect, test } from 'bun:test';
import {
  balanceOf,
  finishImport,
  importText,
  openPair,
  postImport,
  reportOf,
  toNdjson,
  transferLine,
  uploadText,
  whileImporting,
} from '../../support/import-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

const TIMEOUT_MS = 60_000;
let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const id = () => Bun.randomUUIDv7();
const account = (accountId: string, more: object = {}) => ({
  type: 'account',
  id: accountId,
  ledger: 'EUR',
  ...more,
});

test(
  'accounts and transfers of a file are posted in order; what is refused is reported, and the rest goes on',
  async () => {
    const [bank, alice] = [id(), id()];
    const lines = [
      account(bank, { allowNegative: true, name: 'Bank', metadata: { a: '1' } }),
      account(alice),
      transferLine(alice, bank, 1),
      transferLine(bank, alice, 100, { reference: 'first', effectiveAt: '2020-02-03T04:05:06+01:00' }),
      transferLine(alice, bank, 30, { metadata: { order: '7' } }),
      transferLine(alice, id(), 5),
    ];
    const done = await importText(atlas, toNdjson(lines));
    expect(done).toMatchObject({
      state: 'done',
      failure: null,
      progress: 1,
      lines: 6,
      posted: 4,
      existed: 0,
      refused: 2,
    });
    expect(await reportOf(atlas, done.id)).toMatchObject([
      { line: 3, member: null, code: 'insufficient_funds' },
      { line: 6, member: null, code: 'unknown_account' },
    ]);
    const csv = await (await atlas.call('GET', `/v1/imports/${done.id}/refusals?format=csv`)).text();
    expect(csv.split('\r\n').slice(0, 2)).toEqual([
      'line,member,code,detail',
      '3,,insufficient_funds,What is available in the debit account does not cover the amount.',
    ]);
    expect(await balanceOf(atlas, alice)).toBe(70);
    const rows = await atlas.sql`
    SELECT reference, effective_at FROM transfers WHERE credit_account_id = ${alice}`;
    expect([...rows]).toEqual([{ reference: 'first', effectiveAt: new Date('2020-02-03T03:05:06Z') }]);
    const verification = await (await atlas.call('GET', '/v1/ledger/verification')).json();
    expect(verification).toMatchObject({ ok: true });
  },
  TIMEOUT_MS,
);

test(
  'a file with an invalid line has no effect, and every invalid line is reported',
  async () => {
    const [bank, alice] = await openPair(atlas);
    const rows = [`${bank},${alice},5`, `${bank},${alice},1.5`, `${bank},nobody,5`];
    const failed = await importText(atlas, `debitAccountId,creditAccountId,amount\n${rows.join('\n')}`, {
      format: 'csv',
    });
    expect(failed).toMatchObject({
      state: 'failed',
      failure: 'invalid_lines',
      lines: 3,
      posted: 0,
      refused: 2,
    });
    expect(await reportOf(atlas, failed.id)).toMatchObject([
      { line: 3, member: 'amount', code: 'line_invalid', detail: 'must be a whole number of minor units' },
      { line: 4, member: 'creditAccountId', code: 'line_invalid' },
    ]);
    expect(await balanceOf(atlas, alice)).toBe(0);
  },
  TIMEOUT_MS,
);

test(
  'a file with more invalid lines than are reported is read no further',
  async () => {
    const failed = await importText(atlas, Array(10_500).fill('{}').join('\n'));
    expect(failed).toMatchObject({ state: 'failed', failure: 'invalid_lines', refused: 10_000 });
    expect(await reportOf(atlas, failed.id)).toHaveLength(10_000);
  },
  TIMEOUT_MS,
);

test(
  'an import with as many refusals as are reported stops',
  async () => {
    const [bank, alice] = await openPair(atlas);
    const lines = [...Array(10_200).fill(transferLine(alice, bank, 1)), transferLine(bank, alice, 9)];
    const failed = await importText(atlas, toNdjson(lines));
    expect(failed).toMatchObject({
      state: 'failed',
      failure: 'too_many_refused',
      refused: 10_000,
      posted: 0,
    });
    expect(await balanceOf(atlas, alice)).toBe(0);
  },
  TIMEOUT_MS,
);

test(
  'a retry is the same import, and lines with IDs have their effect once, in whatever file',
  async () => {
    const [bank, alice] = await openPair(atlas);
    const lines = [5, 6].map((amount) => transferLine(bank, alice, amount, { id: id() }));
    const fileId = await uploadText(atlas, toNdjson(lines));
    const first = await postImport(atlas, fileId, {}, 'same-import');
    const { id: importId } = (await first.json()) as { id: string };
    const again = await postImport(atlas, fileId, {}, 'same-import');
    expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([202, 'true']);
    expect(await again.json()).toMatchObject({ id: importId });
    await expectProblem(
      atlas,
      await postImport(atlas, fileId, { dryRun: true }, 'same-import'),
      422,
      'idempotency_key_reused',
    );
    await whileImporting(atlas, () => finishImport(atlas, importId));

    const more = [...lines, transferLine(bank, alice, 7, { id: id() }), { ...lines[0]!, amount: 50 }];
    const second = await importText(atlas, toNdjson(more));
    expect(second).toMatchObject({ state: 'done', posted: 1, existed: 2, refused: 1 });
    expect(await reportOf(atlas, second.id)).toMatchObject([{ line: 4, code: 'transfer_id_taken' }]);
    expect(await balanceOf(atlas, alice)).toBe(18);
  },
  TIMEOUT_MS,
);

test(
  'an ID that Atlas assigned elsewhere becomes one of its own, always the same',
  async () => {
    const [bank, alice] = await openPair(atlas);
    const assigned = '4f8b1c6e-0000-8123-9abc-0123456789ab';
    const line = transferLine(bank, alice, 5, { id: assigned });
    const reversal = transferLine(alice, bank, 2, { id: id(), reversesId: assigned });
    expect(await importText(atlas, toNdjson([line, reversal]))).toMatchObject({ posted: 2 });
    expect(await importText(atlas, toNdjson([line, reversal]))).toMatchObject({ posted: 0, existed: 2 });
    expect(await balanceOf(atlas, alice)).toBe(3);
    const taken = await atlas.call('GET', `/v1/transfers/${assigned}`);
    expect(taken.status).toBe(404);
  },
  TIMEOUT_MS,
);

test(
  'a dry run validates, and posts nothing',
  async () => {
    const [bank, alice] = await openPair(atlas);
    const done = await importText(
      atlas,
      toNdjson([transferLine(bank, alice, 5), transferLine(alice, bank, 9)]),
      {
        dryRun: true,
      },
    );
    expect(done).toMatchObject({ state: 'done', dryRun: true, lines: 2, posted: 0, refused: 0 });
    expect(await balanceOf(atlas, alice)).toBe(0);
  },
  TIMEOUT_MS,
);

test(
  'an import needs the scopes of everything it reads and writes',
  async () => {
    const fileId = await uploadText(atlas, '{}');
    const scopes = ['transfers:write', 'accounts:write', 'files:read'];
    for (const missing of scopes) {
      const key = await atlas.key(scopes.filter((scope) => scope !== missing));
      const response = await atlas.call('POST', '/v1/imports', {
        json: { fileId, format: 'csv' },
        headers: { Authorization: `Bearer ${key}`, 'Idempotency-Key': 'without-scope' },
      });
      await expectProblem(atlas, response, 403, 'forbidden');
    }
    await expectProblem(atlas, await postImport(atlas, id()), 404, 'file_not_found');
  },
  TIMEOUT_MS,
);

test(
  'an import whose file is deleted fails, and an import whose worker is gone is taken over',
  async () => {
    const [bank, alice] = await openPair(atlas);
    const fileId = await uploadText(atlas, toNdjson([transferLine(bank, alice, 5)]));
    const { id: importId } = (await (await postImport(atlas, fileId)).json()) as { id: string };
    await atlas.sql`UPDATE imports SET holder = 'dead' WHERE id = ${importId}`;
    expect((await atlas.call('DELETE', `/v1/files/${fileId}`)).status).toBe(204);
    const failed = await whileImporting(atlas, () => finishImport(atlas, importId));
    expect(failed).toMatchObject({ state: 'failed', failure: 'file_not_found', posted: 0 });
  },
  TIMEOUT_MS,
);

test(
  'old imports are deleted with their reports',
  async () => {
    const failed = await importText(atlas, '{}');
    await atlas.sql`UPDATE imports SET finished_at = now() - interval '31 days' WHERE id = ${failed.id}`;
    await atlas.jobs.find(({ name }) => name === 'delete old imports')!.run();
    await expectProblem(atlas, await atlas.call('GET', `/v1/imports/${failed.id}`), 404, 'import_not_found');
    expect([...(await atlas.sql`SELECT FROM import_refusals WHERE import_id = ${failed.id}`)]).toEqual([]);
  },
  TIMEOUT_MS,
);
