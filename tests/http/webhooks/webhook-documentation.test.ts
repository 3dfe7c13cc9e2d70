import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RETRY_WAITS_MS } from '../../../src/features/webhooks/deliveries/domain.ts';
import { textOf } from '../../support/source-tree.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { createWebhook, type SendingAtlas, startSendingAtlas } from '../../support/webhook-steps.ts';

type Verify = (secret: string, headers: Headers, body: string) => { id: string; type: string };

const document = textOf('docs/api/webhooks.md');
let sending: SendingAtlas;
let folder: string;
let verifyWebhook: Verify;
beforeAll(async () => {
  sending = await startSendingAtlas();
  folder = await mkdtemp(join(tmpdir(), 'atlas-test-docs-'));
  const file = join(folder, 'sample.ts');
  await writeFile(file, /```ts\n([\s\S]*?)```/.exec(document)![1]!);
  ({ verifyWebhook } = (await import(file)) as { verifyWebhook: Verify });
}, START_TIMEOUT_MS);
afterAll(async () => {
  await sending.reset();
  await sending.close();
  await rm(folder, { recursive: true, force: true });
});

test('the sample in the documentation accepts what Atlas sends, also during a rotation, and nothing else', async () => {
  const { atlas } = sending;
  const receiver = sending.receive();
  const { id, secret } = await createWebhook(atlas, { url: receiver.url });
  await atlas.call('POST', `/v1/webhooks/${id}/secret`);
  await atlas.call('POST', `/v1/webhooks/${id}/test`);
  const [received] = await receiver.arrived(1);
  const headers = new Headers(received!.headers);
  expect(verifyWebhook(secret, headers, received!.body)).toMatchObject({ type: 'webhook.test.v1' });
  expect(() => verifyWebhook('whsec_AAAA', headers, received!.body)).toThrow('The signature is wrong.');
  expect(() => verifyWebhook(secret, headers, `${received!.body} `)).toThrow('The signature is wrong.');
  expect(() => verifyWebhook(secret, new Headers(), received!.body)).toThrow();
  const old = new Headers(headers);
  old.set('webhook-timestamp', String(Number(headers.get('webhook-timestamp')) - 3600));
  expect(() => verifyWebhook(secret, old, received!.body)).toThrow('too old');
});

test('the documented delays are those of the code', () => {
  const units: Record<string, number> = { s: 1000, min: 60_000, h: 3_600_000 };
  const [, row] = /delay after the previous attempt \| none \|([^\n]+)\|/.exec(document)!;
  const waits = row!.split('|').map((cell) => {
    const [count, unit] = cell.trim().split(' ') as [string, string];
    return Number(count) * units[unit]!;
  });
  expect(waits).toEqual([...RETRY_WAITS_MS]);
});
