import { afterAll, beforeAll, expect, test } from 'bun:test';
import type { ApiCaller } from '../../support/api-caller.ts';
import {
  balanceOf,
  createImport,
  finishImport,
  openPair,
  postImport,
  readImport,
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

test(
  'imports of an organization are worked on in order, and can be canceled; canceling again changes nothing',
  async () => {
    const [bank, alice] = await openPair(atlas);
    const other = await atlas.as('another');
    const running = await createImport(atlas, toNdjson([transferLine(bank, alice, 5)]));
    const second = await createImport(atlas, toNdjson([transferLine(alice, bank, 7)]));
    const first = await createImport(other, '{}');
    await atlas.sql`UPDATE imports SET turn_at = now() - interval '1 hour' WHERE id = ${second.id}`;

    for (const path of [`/v1/imports/${running.id}`, `/v1/imports/${running.id}/refusals`])
      await expectProblem(atlas, await other.call('GET', path), 404, 'import_not_found');
    const cancelOf = (caller: ApiCaller, importId: string) =>
      caller.call('POST', `/v1/imports/${importId}/cancel`);
    await expectProblem(atlas, await cancelOf(other, running.id), 404, 'import_not_found');
    const third = await createImport(atlas, toNdjson([transferLine(bank, alice, 100)]));
    for (let i = 0; i < 2; i++) {
      const canceled = await cancelOf(atlas, third.id);
      expect(canceled.status).toBe(200);
      expect(await canceled.json()).toMatchObject({ state: 'canceled', posted: 0 });
    }
    const [failed, refused] = await whileImporting(atlas, () =>
      Promise.all([finishImport(other, first.id), finishImport(atlas, second.id)]),
    );
    expect(failed).toMatchObject({ state: 'failed' });
    expect(refused).toMatchObject({ state: 'done', refused: 1 });
    expect(await readImport(atlas, running.id)).toMatchObject({ state: 'done', posted: 1 });
    await expectProblem(atlas, await cancelOf(other, first.id), 409, 'import_finished');
    expect(await balanceOf(atlas, alice)).toBe(5);
    const list = (await (await atlas.call('GET', '/v1/imports?limit=1')).json()) as { imports: object[] };
    expect(list.imports).toMatchObject([{ id: third.id }]);
  },
  TIMEOUT_MS,
);

test(
  'an organization has a bounded number of unfinished imports',
  async () => {
    const many = await atlas.as('many');
    const fileId = await uploadText(many, '{}');
    for (let i = 0; i < 20; i++) expect((await postImport(many, fileId)).status).toBe(202);
    await expectProblem(atlas, await postImport(many, fileId), 409, 'too_many_imports');
    await atlas.sql`UPDATE imports SET state = 'canceled', finished_at = now() WHERE owner = 'many'`;
  },
  TIMEOUT_MS,
);

test(
  'an import that is worked on stops after a block when it is canceled, and says what it has posted',
  async () => {
    const [bank, alice] = await openPair(atlas);
    const running = await createImport(atlas, toNdjson(Array(60_000).fill(transferLine(bank, alice, 1))));
    const canceled = await whileImporting(atlas, async () => {
      while ((await readImport(atlas, running.id)).posted === 0) await Bun.sleep(5);
      expect((await atlas.call('POST', `/v1/imports/${running.id}/cancel`)).status).toBe(200);
      return finishImport(atlas, running.id);
    });
    expect(canceled.state).toBe('canceled');
    expect(canceled.posted).toBeGreaterThan(0);
    expect(canceled.posted).toBeLessThan(60_000);
    expect(await balanceOf(atlas, alice)).toBe(canceled.posted);
  },
  TIMEOUT_MS,
);

test(
  'an import of an organization that is suspended stops after a block, and goes on once it is reinstated',
  async () => {
    const halted = await atlas.as('halted');
    await atlas.sql`INSERT INTO organizations (id, name) VALUES ('halted', 'halted') ON CONFLICT DO NOTHING`;
    const suspend = (at: Date | null) =>
      atlas.sql`UPDATE organizations SET suspended_at = ${at} WHERE id = 'halted'`;
    const [bank, alice] = await openPair(halted);
    const lines = 60_000;
    const { id } = await createImport(halted, toNdjson(Array(lines).fill(transferLine(bank, alice, 1))));
    const row = async () => {
      const [found] =
        await atlas.sql`SELECT state, holder, posted::int AS posted FROM imports WHERE id = ${id}`;
      return found as { state: string; holder: string | null; posted: number };
    };
    await whileImporting(atlas, async () => {
      while ((await row()).posted === 0) await Bun.sleep(5);
      await suspend(new Date());
      while ((await row()).holder !== null) await Bun.sleep(5);
      const { posted, state } = await row();
      expect(posted).toBeLessThan(lines);
      expect(state).toBe('posting');
      // The loop works for others, and not for this one.
      const other = await createImport(atlas, '{}');
      await finishImport(atlas, other.id);
      expect(await row()).toMatchObject({ posted, holder: null });
      await suspend(null);
      while ((await row()).state !== 'done') await Bun.sleep(20);
    });
    expect((await row()).posted).toBe(lines);
    const [account] = await atlas.sql`
      SELECT (credits_posted - debits_posted)::int AS balance FROM accounts WHERE id = ${alice}`;
    expect(account!.balance).toBe(lines);
  },
  TIMEOUT_MS,
);
