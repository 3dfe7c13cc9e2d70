import { afterAll, beforeAll, describe, expect, spyOn, test } from 'bun:test';
import { lookup } from 'node:dns/promises';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isOperatorScope, isPersonalScope } from '../../../src/features/identity/scope-kinds.ts';
import { ALL_SCOPES, OPERATOR_SCOPES } from '../../../src/features.ts';
import { DEMO, DEMO_URL } from '../../../src/utils/demo-data.ts';
import { type Example, readExamples, STREAM, seedDemo } from '../../support/example-requests.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { createUser } from '../../support/user-steps.ts';
import { ACCESS } from './access.ts';
import { digestOf } from './stored-digest.ts';

let atlas: TestApp;
let folder: string;
let examples: Example[];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atlas-access-'));
  atlas = await startTestApp({ ATLAS_DATA_DIR: folder });
  // Without a name server, the host of the example cannot be checked; nothing is sent to it here.
  await lookup(new URL(DEMO_URL).hostname).catch(() =>
    spyOn(atlas.deps.outgoing, 'check').mockImplementation(async () => {}),
  );
  await seedDemo(atlas);
  examples = await readExamples(atlas);
}, START_TIMEOUT_MS);
afterAll(async () => {
  await atlas.close();
  await rm(folder, { recursive: true });
});

const keyed = () => examples.filter(({ scope }) => scope !== null);
const accessOf = ({ operationId }: Example) => ACCESS[operationId];

/** The headers with an Idempotency-Key of this request alone. */
const ownKey = (headers: Example['headers']) =>
  headers['Idempotency-Key'] === undefined ? headers : { ...headers, 'Idempotency-Key': Bun.randomUUIDv7() };

async function send({ operationId, method, path, headers, body }: Example, token: string | null) {
  const response = await atlas.fetch(
    new Request(`http://atlas.test${path}`, {
      method,
      headers: {
        Host: 'atlas.test',
        ...ownKey(headers),
        ...(token !== null && { Authorization: `Bearer ${token}` }),
      },
      ...(body !== undefined && { body }),
    }),
  );
  const isEndless = operationId === STREAM && response.ok;
  if (isEndless) await response.body!.cancel();
  const text = isEndless ? '' : await response.text();
  const problem = text.startsWith('{"type":') ? (JSON.parse(text) as { type: string; detail: string }) : null;
  return {
    status: response.status,
    type: problem?.type ?? null,
    detail: problem?.detail ?? null,
    text,
    response,
  };
}

/** Sends all requests, expects a problem from each, and that nothing has changed afterwards. */
async function expectRefused(
  requests: readonly Example[],
  tokenOf: (example: Example) => string | null | Promise<string | null>,
  expected: (example: Example) => { status: number; type: string; detail: string },
): Promise<void> {
  expect(requests.length).toBeGreaterThan(5);
  const tokens = await Promise.all(requests.map(tokenOf));
  const before = await digestOf(atlas);
  for (const [i, example] of requests.entries()) {
    const { status, type, detail } = await send(example, tokens[i]!);
    const { operationId } = example;
    expect({ operationId, status, type, detail }).toEqual({ operationId, ...expected(example) });
  }
  expect(await digestOf(atlas)).toEqual(before);
}

/** Returns a key with all scopes that the caller of this route can have. */
function keyFor({ scope }: Example, options: { expiresAt?: Date; owner?: string } = {}) {
  const isOperator = isOperatorScope(scope!);
  return atlas.keys.create({
    owner: isOperator ? '~operators' : (options.owner ?? DEMO.owner),
    kind: isOperator ? 'operator' : 'live',
    name: 'test',
    scopes: isOperator ? OPERATOR_SCOPES : ALL_SCOPES,
    expiresAt: options.expiresAt ?? null,
  });
}

const REVOKED = {
  status: 401,
  type: '/problems/unauthenticated',
  detail: 'The API key or session is unknown, revoked, or expired.',
};

function kindOf(scope: string | null) {
  if (scope === null) return 'anybody';
  if (isPersonalScope(scope)) return 'person';
  return isOperatorScope(scope) ? 'operator' : 'organization';
}

/** Returns a key or session that may call this route until what is stored of it is changed like this. */
async function endedFor(example: Example, key: string, session: string): Promise<string> {
  if (isPersonalScope(example.scope!)) {
    const { token, sessionId } = await createUser(atlas);
    await atlas.sql.unsafe(`${session} WHERE id = '${sessionId}'`);
    return token;
  }
  const { id, token } = await keyFor(example);
  await atlas.sql.unsafe(`${key} WHERE id = '${id}'`);
  return token;
}

test('every route says who may call it', () => {
  expect(examples.map(({ operationId }) => operationId).toSorted()).toEqual(Object.keys(ACCESS).toSorted());
  for (const example of examples) {
    const { operationId, scope } = example;
    const kind = kindOf(scope);
    const access = accessOf(example)!;
    const isOrganizations = ['own', 'unknown', 'organization'].includes(access);
    expect({ operationId, kind }).toEqual({ operationId, kind: isOrganizations ? 'organization' : access });
  }
});

describe('every route that needs a key refuses, without an effect,', () => {
  test('requests without one', () =>
    expectRefused(
      keyed(),
      () => null,
      () => ({
        status: 401,
        type: '/problems/unauthenticated',
        detail: 'Send Authorization: Bearer atlas_live_… with an API key, or sign in.',
      }),
    ));

  test.each([
    ['never existed', 'DELETE FROM api_keys', 'DELETE FROM sessions'],
    [
      'were revoked, or not used for long',
      'UPDATE api_keys SET revoked_at = now()',
      "UPDATE sessions SET last_used_at = now() - interval '1 day'",
    ],
    ['have expired', 'UPDATE api_keys SET expires_at = now()', 'UPDATE sessions SET expires_at = now()'],
  ])('keys and sessions that %s', (_, key, session) =>
    expectRefused(
      keyed(),
      (example) => endedFor(example, key, session),
      () => REVOKED,
    ),
  );

  test('keys that have every scope but the one it needs', () =>
    expectRefused(
      keyed(),
      ({ scope }) =>
        isOperatorScope(scope!)
          ? atlas.operatorKey(OPERATOR_SCOPES.filter((other) => other !== scope))
          : atlas.key(
              ALL_SCOPES.filter((other) => other !== scope),
              DEMO.owner,
            ),
      ({ scope }) => ({
        status: 403,
        type: '/problems/forbidden',
        detail: `This route requires the scope ${scope}.`,
      }),
    ));

  test('keys of organizations where it is for operators or persons, and keys of operators elsewhere', () =>
    expectRefused(
      keyed(),
      ({ scope }) =>
        isOperatorScope(scope!) || isPersonalScope(scope!)
          ? atlas.key(ALL_SCOPES, DEMO.owner)
          : atlas.operatorKey(),
      ({ scope }) => ({
        status: 403,
        type: '/problems/forbidden',
        detail: `This route requires the scope ${scope}.`,
      }),
    ));

  test('keys of an organization that is suspended', async () => {
    await atlas.sql`INSERT INTO organizations (id, name, suspended_at) VALUES ('suspended', 'suspended', now())`;
    await expectRefused(
      // Suspended is the organization: people may go on reading and changing what is theirs.
      keyed().filter((example) => ['own', 'unknown', 'organization'].includes(accessOf(example)!)),
      async (example) => (await keyFor(example, { owner: 'suspended' })).token,
      () => ({
        status: 403,
        type: '/problems/organization_suspended',
        detail: 'The organization suspended is suspended.',
      }),
    );
  });
});

describe.each(['another organization', 'a test key of the same organization'])('%s', (who) => {
  let stranger: string;
  beforeAll(async () => {
    const isOther = who === 'another organization';
    const key = { kind: isOther ? 'live' : 'test', owner: isOther ? 'stranger' : DEMO.owner } as const;
    const more = { name: 'test', scopes: ALL_SCOPES, expiresAt: null };
    stranger = (await atlas.keys.create({ ...key, ...more })).token;
  });

  // Test keys are of the organization, too, and so is what is recorded about them.
  const ownTables = who === 'another organization' ? [] : ['api_keys', 'audit_entries'];

  /** What is stored of the demo organization. */
  const demoDigest = () => digestOf(atlas, { owner: DEMO.owner, except: ownTables });

  /** The IDs of the demo data that stand in a text, except for that of an organization. */
  const namedIn = (text: string) =>
    Object.entries(DEMO)
      .filter(([name]) => name !== 'owner' && name !== 'organization')
      .flatMap(([, id]) => (text.includes(id) ? [id] : []));
  const unknownOf = (id: string) => `${id.slice(0, -4)}9e${id.slice(-2)}`;
  const [ownPath, nobodysPath] = [`/organizations/${DEMO.owner}`, '/organizations/nobod'];
  const unknown = (text: string) =>
    namedIn(text)
      .reduce((changed, id) => changed.replaceAll(id, unknownOf(id)), text)
      .replace(ownPath, nobodysPath);
  const known = (text: string) =>
    Object.values(DEMO)
      .reduce((changed, id) => changed.replaceAll(unknownOf(id), id), text)
      .replace('with the ID nobod.', `with the ID ${DEMO.owner}.`);
  const withoutRequest = (text: string) => text.replace(/"requestId":"[^"]*"/, '"requestId":""');

  test('gets for the IDs of others exactly what it gets for IDs that do not exist, and changes nothing of theirs', async () => {
    const before = await demoDigest();
    for (const example of examples.filter((one) => ['unknown', 'organization'].includes(accessOf(one)!))) {
      const { operationId, path, body } = example;
      expect({ operationId, ids: unknown(path + (body ?? '')) !== path + (body ?? '') }).toEqual({
        operationId,
        ids: true,
      });
      const theirs = await send(example, stranger);
      const nobodys = await send(
        { ...example, path: unknown(path), ...(body !== undefined && { body: unknown(body) }) },
        stranger,
      );
      const headersOf = ({ response }: typeof theirs) =>
        [...response.headers]
          .filter(([name]) => name !== 'x-request-id')
          .map(([name, value]) => [name, known(value)]);
      const whole = (sent: typeof theirs) => ({
        operationId,
        status: sent.status,
        headers: headersOf(sent),
        text: withoutRequest(known(sent.text)),
      });
      expect(whole(theirs)).toEqual(whole(nobodys));
      if (operationId !== 'postTransferBatch') expect(theirs.status).toBeGreaterThanOrEqual(400);
    }
    expect(await demoDigest()).toEqual(before);
  });

  test('sees and changes only its own where no ID is named', async () => {
    const before = await demoDigest();
    for (const example of examples.filter((one) => accessOf(one) === 'own')) {
      const { operationId, path, body } = example;
      const { status, text } = await send(example, stranger);
      expect({ operationId, ok: status < 300, text: status < 300 ? '' : text }).toEqual({
        operationId,
        ok: true,
        text: '',
      });
      // What the caller sent is no secret to it.
      const sent = namedIn(path + (body ?? ''));
      const seen = namedIn(text).filter((id) => !sent.includes(id));
      expect({ operationId, seen }).toEqual({ operationId, seen: [] });
    }
    expect(await demoDigest()).toEqual(before);
  });
});
