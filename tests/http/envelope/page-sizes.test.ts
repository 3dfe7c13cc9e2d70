import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { PAGE_BYTES_MAX } from '../../../src/adapters/postgres/page-of-bytes.ts';
import { availableEngines } from '../../support/database.ts';
import { relayAll } from '../../support/event-steps.ts';
import { openAccount } from '../../support/ledger-steps.ts';
import { metadataOf, PAGE_BYTES_ABOUT, readPages } from '../../support/page-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { createWebhook } from '../../support/webhook-steps.ts';

const TARGET = { url: 'http://127.0.0.1:9/' };

interface Identified {
  readonly id: string;
}

const expectWhole = (found: readonly Identified[], ids: readonly string[]) => {
  expect(found.map(({ id }) => id)).toEqual([...ids]);
};

describe.each(availableEngines())('on %s', (engine) => {
  let atlas: TestApp;
  let bank: string;
  let account: string;
  beforeAll(async () => {
    atlas = await startTestApp({ WEBHOOKS_ALLOWED_HOSTS: '127.0.0.1' }, engine);
    bank = (await openAccount(atlas)).id;
    account = (await openAccount(atlas)).id;
    // As older releases stored them: with more metadata than new ones may have.
    const large = metadataOf(80_000);
    await atlas.sql`
      INSERT INTO accounts (id, owner, ledger, allow_negative, metadata)
      SELECT gen_random_uuid(), 'owner', 'EUR', true, ${atlas.sql.json(large)} FROM generate_series(1, 200)`;
    await atlas.sql`
      WITH posted AS (
        INSERT INTO transfers (id, debit_account_id, debit_version, credit_account_id, credit_version, ledger, amount,
          metadata, created_at)
        SELECT gen_random_uuid(), ${bank}, n, ${account}, n, 'EUR', 1, ${atlas.sql.json(large)}, now()
          FROM generate_series(1, 60) n RETURNING *
      )
      INSERT INTO outbox (transfer_id, debit_account_id, debit_version, credit_account_id, credit_version, posted_at,
        debit_owner, credit_owner)
      SELECT id, debit_account_id, debit_version, credit_account_id, credit_version, created_at, 'owner', 'owner'
        FROM posted ORDER BY debit_version`;
    await relayAll(atlas);
  }, START_TIMEOUT_MS);
  afterAll(() => atlas.close());

  test('a page of large accounts ends at about 1 MiB, and the pages together hold each account once', async () => {
    const { items, sizesBytes } = await readPages<Identified>(atlas, '/v1/accounts?limit=200', 'accounts');
    expect(Math.max(...sizesBytes)).toBeLessThan(PAGE_BYTES_ABOUT);
    const rows = await atlas.sql<Identified[]>`SELECT id FROM accounts ORDER BY created_at, id`;
    expectWhole(
      items,
      rows.map(({ id }) => id),
    );
  });

  test('a page of large transfers ends at about 1 MiB, and the pages together hold each transfer once', async () => {
    for (const of of [bank, account]) {
      const path = `/v1/accounts/${of}/transfers?limit=200`;
      const { items, sizesBytes } = await readPages<Identified>(atlas, path, 'transfers');
      expect(Math.max(...sizesBytes)).toBeLessThan(PAGE_BYTES_ABOUT);
      const rows = await atlas.sql<Identified[]>`SELECT id FROM transfers ORDER BY debit_version DESC`;
      expectWhole(
        items,
        rows.map(({ id }) => id),
      );
    }
  });

  test.each([
    ['of all types', () => '', 120 + 2],
    ['of one type', () => '&type=account.debited.v1', 60],
    ['of one key', () => `&key=${bank}`, 61],
    ['of one key and type', () => `&key=${bank}&type=account.debited.v1`, 60],
  ])(
    'a page of large events %s ends at about 1 MiB, and the pages together hold each event once',
    async (_what, filter, count) => {
      const { items, sizesBytes } = await readPages<Identified & { type: string; subject: string }>(
        atlas,
        `/v1/events?limit=200${filter()}`,
        'events',
      );
      expect(Math.max(...sizesBytes)).toBeLessThan(PAGE_BYTES_ABOUT);
      expect(items).toHaveLength(count);
      const rows = await atlas.sql<
        Identified[]
      >`SELECT key || ':' || sequence AS id FROM events ORDER BY position`;
      const ids = new Set(items.map(({ id }) => id));
      expectWhole(
        items,
        rows.map(({ id }) => id).filter((id) => ids.has(id)),
      );
      expect(ids.size).toBe(count);
    },
  );

  test('a stream sends large events in blocks of about 256 KiB, each event once and in order', async () => {
    const response = await atlas.call('GET', '/v1/events/stream?from=beginning');
    const ids: string[] = [];
    const sizes: number[] = [];
    const decoder = new TextDecoder();
    const reader = response.body!.getReader();
    for (let text = ''; ids.length < 122; ) {
      const { value } = await reader.read();
      sizes.push(value!.byteLength);
      const blocks = (text + decoder.decode(value, { stream: true })).split('\n\n');
      text = blocks.pop()!;
      ids.push(...blocks.flatMap((block) => /"id":"([^"]+)"/.exec(block)?.[1] ?? []));
    }
    await reader.cancel();
    expect(Math.max(...sizes)).toBeLessThan(300_000);
    const rows = await atlas.sql`SELECT key || ':' || sequence AS id FROM events ORDER BY position`;
    expect(ids).toEqual(rows.map(({ id }) => id));
  });

  test('a replay of large events ends at about 1 MiB, and the calls together send each event once', async () => {
    const webhook = await createWebhook(atlas, TARGET);
    const counts: number[] = [];
    for (let afterPosition: string | null = '0'; afterPosition !== null; ) {
      const response = await atlas.call('POST', `/v1/webhooks/${webhook.id}/replay`, {
        json: { afterPosition },
      });
      const replayed = (await response.json()) as { deliveries: number; nextPosition: string | null };
      counts.push(replayed.deliveries);
      afterPosition = replayed.nextPosition;
    }
    expect(Math.max(...counts)).toBeLessThan(25);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(122);
  });

  test('an item larger than a page is a page of its own', async () => {
    const account = (await openAccount(atlas)).id;
    const huge = atlas.sql.json(metadataOf(1_500_000));
    await atlas.sql`
      INSERT INTO transfers (id, debit_account_id, debit_version, credit_account_id, credit_version, ledger, amount,
        metadata, created_at)
      SELECT gen_random_uuid(), ${account}, n, gen_random_uuid(), 1, 'EUR', 1,
        CASE n WHEN 2 THEN ${huge}::jsonb ELSE '{}' END, now() FROM generate_series(1, 3) n`;
    const { counts } = await readPages(atlas, `/v1/accounts/${account}/transfers`, 'transfers');
    expect(counts).toEqual([1, 1, 1]);
  });
});

describe('a full page of the largest items is below 1 MiB', () => {
  let atlas: TestApp;
  beforeAll(async () => {
    atlas = await startTestApp({ WEBHOOKS_ALLOWED_HOSTS: '127.0.0.1' });
  }, START_TIMEOUT_MS);
  afterAll(() => atlas.close());

  test('of files', async () => {
    await atlas.sql`
      INSERT INTO files (id, owner, state, name, media_type, size_bytes, sha256, chunks)
      SELECT gen_random_uuid(), 'owner', 'stored', repeat('"', 255), repeat('x', 127), 1, sha256(''), sha256('')
        FROM generate_series(1, 200)`;
    const { counts, sizesBytes } = await readPages(atlas, '/v1/files?limit=200', 'files');
    expect(counts).toEqual([200]);
    expect(sizesBytes[0]).toBeLessThan(PAGE_BYTES_MAX);
  });

  test('of webhooks', async () => {
    const json = { url: `${TARGET.url}${'x'.repeat(2000)}`, description: '\u0001'.repeat(500) };
    for (let i = 0; i < 20; i++) await createWebhook(atlas, json);
    const { counts, sizesBytes } = await readPages(atlas, '/v1/webhooks?limit=200', 'webhooks');
    expect(counts).toEqual([20]);
    expect(sizesBytes[0]).toBeLessThan(PAGE_BYTES_MAX);
  });

  test('of deliveries', async () => {
    const [webhook] = await atlas.sql`SELECT id FROM webhooks LIMIT 1`;
    const large = JSON.stringify(metadataOf(80_000));
    await atlas.sql`
      INSERT INTO webhook_deliveries (id, webhook_id, event_id, event_type, body)
      SELECT gen_random_uuid(), ${webhook!.id}, repeat('x', 100) || ':' || n, 'account.credited.v1', ${large}
        FROM generate_series(1, 200) n`;
    const path = `/v1/webhooks/${webhook!.id}/deliveries?limit=200`;
    const { counts, sizesBytes } = await readPages(atlas, path, 'deliveries');
    expect(counts).toEqual([200]);
    expect(sizesBytes[0]).toBeLessThan(PAGE_BYTES_MAX);
  });
});
