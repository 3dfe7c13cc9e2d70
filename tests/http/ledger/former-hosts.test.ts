import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readIsolation } from '../../../src/adapters/postgres/isolation.ts';
import { switchIsolation } from '../../../src/adapters/postgres/switch-isolation.ts';
import { deriveFormerId } from '../../../src/features/ledger/transfers/transfer-ids.ts';
import type { ApiCaller } from '../../support/api-caller.ts';
import { startRelay } from '../../support/event-steps.ts';
import { availableFormerReleases, type FormerHost, startFormerHost } from '../../support/former-release.ts';
import {
  type AccountResource,
  newKey,
  openAccount,
  postBatch,
  postTransfer,
  readAccount,
  type TransferResource,
} from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { expectProblem } from '../problem-assertions.ts';

const OWNER = 'owner';
const ACTOR = { kind: 'command', id: 'test' } as const;
const REPLAYED = 'idempotency-replayed';

/** The text of a response without the members that a former release does not know. */
const textOf = async (response: Response) =>
  (await response.text()).replaceAll(/"holdId":null,"reversesId":null,|,"effectiveAt":"[^"]*"/g, '');

describe.each(availableFormerReleases())('beside a host of %s', (release) => {
  let atlas: TestApp;
  let former: FormerHost;
  let bank: AccountResource;
  let orders: [string, first: ApiCaller, second: ApiCaller][];
  beforeAll(async () => {
    atlas = await startTestApp();
    // A new database: this release looks for former ids only once the other one has posted.
    former = await startFormerHost(release, atlas);
    bank = await openAccount(atlas);
    orders = [
      ['new, then former', atlas, former],
      ['former, then new', former, atlas],
    ];
  }, START_TIMEOUT_MS);
  afterAll(async () => {
    await former.close();
    await atlas.close();
  });

  const payTo = (to: AccountResource, amount = 5) => ({
    debitAccountId: bank.id,
    creditAccountId: to.id,
    amount,
    reference: 'invoice 4711',
    metadata: { b: '2', a: '1' },
  });
  const forget = (key: string) => atlas.sql`DELETE FROM idempotency_keys WHERE key = ${key}`;
  const versionOf = async ({ id }: AccountResource) => {
    const { balance, version } = (await readAccount(atlas, id)) as AccountResource & { version: number };
    return { balance, version };
  };

  test('is noticed while it runs, so that organizations are not isolated yet', async () => {
    const { database } = atlas.deps;
    const stop = startRelay(former);
    await until(async () => (await readIsolation(database)).hasFormerHosts);
    await expect(switchIsolation(database, true, ACTOR, 'operators')).rejects.toThrow(
      'a host of a release before isolation',
    );
    await stop();
  });

  test('its first payment may be one that this release has posted, and whose key was forgotten', async () => {
    expect(await atlas.sql`SELECT has_former_ids AS looks FROM transfer_id_secret`).toMatchObject([
      { looks: false },
    ]);
    const [account, key] = [await openAccount(atlas), newKey()];
    const posted = await textOf(await postTransfer(atlas, payTo(account), key));
    await forget(key);
    const late = await postTransfer(former, payTo(account), key);
    expect([late.status, await textOf(late)]).toEqual([200, posted]);
    expect(await versionOf(account)).toEqual({ balance: 5, version: 1 });
  });

  test('a key sent to both hosts, in either order, has one effect and one response', async () => {
    for (const [, first, second] of orders) {
      const [account, key] = [await openAccount(atlas), newKey()];
      const posted = await postTransfer(first, payTo(account), key);
      const replayed = await postTransfer(second, payTo(account), key);
      expect([posted.status, replayed.status]).toEqual([201, 201]);
      expect([posted.headers.get(REPLAYED), replayed.headers.get(REPLAYED)]).toEqual([null, 'true']);
      const text = await textOf(posted);
      expect(await textOf(replayed)).toBe(text);
      const { id } = JSON.parse(text) as TransferResource;
      expect(await textOf(await atlas.call('GET', `/v1/transfers/${id}`))).toBe(text);
      expect(await versionOf(account)).toEqual({ balance: 5, version: 1 });
    }
  });

  test('a batch sent to both hosts, in either order, has one effect and one response', async () => {
    for (const [, first, second] of orders) {
      const [account, key] = [await openAccount(atlas), newKey()];
      const body = {
        transfers: [payTo(account, 1), payTo(bank), { ...payTo(account, 2), id: crypto.randomUUID() }],
      };
      const posted = await textOf(await postBatch(first, body, key));
      expect(await textOf(await postBatch(second, body, key))).toBe(posted);
      expect(await versionOf(account)).toEqual({ balance: 3, version: 2 });
    }
  });

  test('keys sent to both hosts concurrently have one effect each, and the same response', async () => {
    const account = await openAccount(atlas);
    const keys = Array.from({ length: 50 }, newKey);
    const send = (host: ApiCaller) =>
      Promise.all(
        keys.map(async (key) => JSON.parse(await textOf(await postTransfer(host, payTo(account), key)))),
      );
    const [here, there] = await Promise.all([send(atlas), send(former)]);
    expect(here).toEqual(there);
    expect(new Set(here.map(({ id }) => id)).size).toBe(keys.length);
    expect(await versionOf(account)).toEqual({ balance: 250, version: 50 });
  });

  test('a request whose key was forgotten posts nothing again, whichever host had posted it', async () => {
    for (const [, first, second] of orders) {
      for (const later of [first, second]) {
        const [account, key] = [await openAccount(atlas), newKey()];
        const posted = await textOf(await postTransfer(first, payTo(account), key));
        await forget(key);
        const late = await postTransfer(later, payTo(account), key);
        expect([late.status, late.headers.get(REPLAYED)]).toEqual([200, null]);
        expect(await textOf(late)).toBe(posted);
        // The id that it found is stored under the key, for both hosts.
        for (const host of [first, second]) {
          const again = await postTransfer(host, payTo(account), key);
          expect([again.status, again.headers.get(REPLAYED)]).toEqual([200, 'true']);
          expect(await textOf(again)).toBe(posted);
        }
        expect(await versionOf(account)).toEqual({ balance: 5, version: 1 });
      }
    }
  });

  test('a batch whose key was forgotten posts nothing again, whichever host had posted it', async () => {
    for (const [, first, second] of orders) {
      const [account, key] = [await openAccount(atlas), newKey()];
      const body = { transfers: Array.from({ length: 20 }, (_, i) => payTo(account, i + 1)), atomic: true };
      const posted = JSON.parse(await textOf(await postBatch(first, body, key))) as {
        results: { id: string }[];
      };
      await forget(key);
      const late = JSON.parse(await textOf(await postBatch(second, body, key))) as typeof posted;
      expect(late.results).toEqual(
        posted.results.map((result) => expect.objectContaining({ ...result, status: 'exists' }) as never),
      );
      expect(await versionOf(account)).toEqual({ balance: 210, version: 20 });
    }
  });

  test('nobody can post under the ids of keys that another owner will use, on either host', async () => {
    const stranger = { Authorization: `Bearer ${await atlas.key(undefined, 'stranger')}` };
    for (const [, first, second] of orders) {
      const [account, key] = [await openAccount(atlas), newKey()];
      for (const host of [first, second]) {
        const order = { ...payTo(account, 1), id: deriveFormerId(OWNER, key, 0) };
        const refused = await postTransfer(host, order, newKey(), stranger);
        await expectProblem(atlas, refused, 409, 'transfer_id_taken');
      }
      expect((await postTransfer(first, payTo(account), key)).status).toBe(201);
      expect((await postTransfer(second, payTo(account), key)).headers.get(REPLAYED)).toBe('true');
      expect(await versionOf(account)).toEqual({ balance: 5, version: 1 });
    }
  });

  test('a UUIDv8 that a caller chose before is found again on both hosts', async () => {
    const account = await openAccount(atlas);
    const order = { ...payTo(account), id: deriveFormerId('any', 'thing', 0) };
    const key = newKey();
    await atlas.sql`ALTER TABLE transfers DISABLE TRIGGER transfers_immutable`;
    const posted = (await (
      await postTransfer(former, { ...order, id: crypto.randomUUID() }, key)
    ).json()) as { id: string };
    await atlas.sql`UPDATE transfers SET id = ${order.id} WHERE id = ${posted.id}`;
    await atlas.sql`ALTER TABLE transfers ENABLE TRIGGER transfers_immutable`;
    for (const host of [atlas, former]) {
      const again = await postTransfer(host, order);
      expect([again.status, ((await again.json()) as { id: string }).id]).toEqual([200, order.id]);
      await expectProblem(atlas, await postTransfer(host, { ...order, amount: 6 }), 409, 'transfer_id_taken');
    }
    expect(await versionOf(account)).toEqual({ balance: 5, version: 1 });
  });
});
