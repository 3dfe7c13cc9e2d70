import { afterAll, beforeAll, expect, spyOn, test } from 'bun:test';
import { lookup } from 'node:dns/promises';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seed } from '../../../src/cli/seed.ts';
import { isPersonalScope } from '../../../src/features/identity/scope-kinds.ts';
import { DEMO, DEMO_PERSON, DEMO_URL } from '../../../src/utils/demo-data.ts';
import { relayAll } from '../../support/event-steps.ts';
import {
  BY_CODE,
  BY_LINK,
  BY_MAIL,
  BY_PROVIDER,
  type Example,
  readExamples,
  STREAM,
  seedDemo,
} from '../../support/example-requests.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { addMember, bearer, createSession, createUser } from '../../support/user-steps.ts';
import { ONCE } from './creates.ts';

const NOT_SENT = [...BY_LINK, ...BY_MAIL, ...BY_CODE, ...BY_PROVIDER];

let atlas: TestApp;
let folder: string;
let operations: Example[];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atlas-examples-'));
  atlas = await startTestApp({
    ATLAS_DATA_DIR: folder,
    SIGN_UP: 'open',
    SECURITY_CONTACT: 'mailto:security@example.com',
  });
  // Without a name server, the host of the example cannot be checked; nothing is sent to it here.
  const isOffline = await lookup(new URL(DEMO_URL).hostname).then(
    () => false,
    () => true,
  );
  if (isOffline) spyOn(atlas.deps.outgoing, 'check').mockImplementation(async () => {});
  await seedDemo(atlas);
  operations = await readExamples(atlas);
}, START_TIMEOUT_MS);
afterAll(async () => {
  await atlas.close();
  await rm(folder, { recursive: true });
});

async function send(
  { scope, method, path, headers, body }: Example,
  person?: Record<string, string>,
): Promise<Response> {
  const session = scope !== null && isPersonalScope(scope) ? (person ?? (await ofNewPerson())) : {};
  return atlas.call(method, path, {
    headers: { ...headers, ...session },
    ...(body !== undefined && { body }),
  });
}

/** The session of a new person with the password of the demo data, who can be deleted. */
async function ofNewPerson(): Promise<Record<string, string>> {
  const passwordHash = await Bun.password.hash(DEMO_PERSON.password, 'argon2id');
  const { id } = await createUser(atlas, { passwordHash });
  await addMember(atlas, id, DEMO.owner, 'member');
  await addMember(atlas, id, DEMO.organization, 'viewer');
  return bearer((await createSession(atlas, id)).token);
}

test('every operation works with its examples against the demo data, and so does sending them again', async () => {
  const sent: string[] = [];
  for (const round of [1, 2]) {
    for (const operation of operations) {
      const { operationId, method } = operation;
      if (NOT_SENT.includes(operationId)) continue;
      const response = await send(operation);
      if (operationId === STREAM) await response.body!.cancel();
      const text = operationId === STREAM ? '' : await response.text();
      // What is deleted once is gone.
      const isGone = method === 'DELETE' && round === 2 && response.status === 404;
      expect({
        operationId,
        round,
        ok: response.ok || isGone,
        text: response.ok || isGone ? '' : text,
      }).toEqual({
        operationId,
        round,
        ok: true,
        text: '',
      });
      sent.push(operationId);
    }
    await relayAll(atlas);
  }
  expect(sent.length).toBe(2 * (operations.length - NOT_SENT.length));
  expect(sent.length).toBeGreaterThan(70);
});

test('every operation that takes an Idempotency-Key returns the same response to its example sent again', async () => {
  const creating = operations.filter(
    ({ takesKey, operationId }) => takesKey && !BY_MAIL.includes(operationId) && !(operationId in ONCE),
  );
  const person = await ofNewPerson();
  expect(creating.length).toBeGreaterThan(10);
  for (const example of creating) {
    const { operationId } = example;
    const headers = { ...example.headers, 'Idempotency-Key': `example-${operationId}` };
    const first = await send({ ...example, headers }, person);
    const again = await send({ ...example, headers }, person);
    const texts = [await first.text(), await again.text()];
    expect({ operationId, ok: first.ok, text: first.ok ? '' : texts[0] }).toEqual({
      operationId,
      ok: true,
      text: '',
    });
    expect({ operationId, status: again.status, text: texts[1]! }).toEqual({
      operationId,
      status: first.status,
      text: texts[0]!,
    });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
  }
});

test('demo data that was deleted is not created again, as its events would continue those of the first', async () => {
  await relayAll(atlas);
  await seed(atlas.features);
  const spare = operations.filter(
    ({ method, path }) => method === 'DELETE' && /^\/v1\/(?:files|webhooks|organizations)\//.test(path),
  );
  expect(spare.map(({ operationId }) => operationId).sort()).toEqual([
    'deleteFile',
    'deleteWebhook',
    'removeMember',
    'withdrawInvitation',
  ]);
  for (const operation of spare) expect((await send(operation)).status).toBe(404);
  expect(await atlas.sql`SELECT key FROM parked_keys`).toHaveLength(0);
});
