import { afterAll, beforeAll, expect, test } from 'bun:test';
import { DEMO_ACCOUNTS } from '../../src/utils/demo-data.ts';
import type { CloudEvent } from '../../src/utils/event.ts';
import { StreamReader } from '../support/event-steps.ts';
import { until } from '../support/until.ts';
import { type AtlasProcess, makeFolder, removeFolder, startAtlas } from './atlas-process.ts';

const { bank: BANK, alice: ALICE } = DEMO_ACCOUNTS;
const TRANSFERS = 200;
let folder: string;
let atlas: AtlasProcess;
let headers: Record<string, string>;
beforeAll(async () => {
  folder = await makeFolder();
  atlas = await startAtlas(folder, { API_WORKERS: '2' });
  headers = { Authorization: `Bearer ${atlas.key}` };
});
afterAll(async () => {
  await atlas?.end('SIGTERM');
  await removeFolder(folder);
});

async function follow(query: string, lastId = ''): Promise<StreamReader> {
  const sent = lastId === '' ? headers : { ...headers, 'Last-Event-ID': lastId };
  return new StreamReader(await fetch(`${atlas.url}/v1/events/stream${query}`, { headers: sent }));
}

/** Pays sequentially, and retries a payment without a response. */
async function pay(count: number): Promise<void> {
  for (let n = 0; n < count; ) {
    const response = await fetch(`${atlas.url}/v1/transfers`, {
      method: 'POST',
      headers: { ...headers, 'Content-Type': 'application/json', 'Idempotency-Key': `stream-${n}` },
      body: JSON.stringify({ debitAccountId: BANK, creditAccountId: ALICE, amount: 1 }),
    }).catch(() => null);
    await response?.body?.cancel();
    if (response?.status === 201) n++;
  }
}

const pidsOf = async () => (await atlas.status()).slots.map(({ worker }) => worker?.pid);

test('a client that reconnects while all workers are replaced gets every event once, in order', async () => {
  const before = await pidsOf();
  const paying = pay(TRANSFERS);
  const events: CloudEvent[] = [];
  let reader = await follow(`?from=beginning`);
  let ends = 0;
  const credits = () =>
    events.filter(({ type, subject }) => type === 'account.credited.v1' && subject === ALICE);
  atlas.signal('SIGHUP');
  // One credit of the account is its initial balance.
  while (credits().length < TRANSFERS + 1) {
    const event = await reader.event().catch(() => null);
    if (event !== null) {
      events.push(event);
      continue;
    }
    ends++;
    reader = await follow('', reader.lastId);
  }
  await paying;
  await until(async () => (await pidsOf()).every((pid) => !before.includes(pid)));
  // Its worker was replaced too, so a stream of before has ended.
  while (ends === 0) if ((await reader.event().catch(() => null)) === null) ends++;
  expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
  for (const key of [BANK, ALICE]) {
    const sequences = events.filter(({ subject }) => subject === key).map(({ sequence }) => Number(sequence));
    expect(sequences).toEqual(sequences.map((_, i) => i));
  }
});

test('open streams do not delay a shutdown, and end cleanly', async () => {
  const readers = await Promise.all(Array.from({ length: 5 }, () => follow('')));
  for (const reader of readers) await reader.block();
  const ending = atlas.end('SIGTERM');
  for (const reader of readers) expect(await reader.event()).toBeNull();
  expect((await ending).code).toBe(0);
});
