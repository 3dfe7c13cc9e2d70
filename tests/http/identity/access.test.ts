import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { isOperatorScope, isPersonalScope } from '../../../src/features/identity/scope-kinds.ts';
import { ALL_SCOPES, OPERATOR_SCOPES } from '../../../src/features.ts';
import { DEMO } from '../../../src/utils/demo-data.ts';
import type { Example } from '../../support/example-requests.ts';
import { START_TIMEOUT_MS, type TestApp } from '../../support/test-app.ts';
import { createUser } from '../../support/user-steps.ts';
import { ACCESS } from './access.ts';
import { type AccessWorld, startAccessWorld } from './access-world.ts';
import { digestOf } from './stored-digest.ts';

let world: AccessWorld;
let atlas: TestApp;
let examples: readonly Example[];
beforeAll(async () => {
  world = await startAccessWorld();
  ({ atlas, examples } = world);
}, START_TIMEOUT_MS);
afterAll(() => world.close());

const keyed = () => world.keyed;
const send: AccessWorld['send'] = (...request) => world.send(...request);
const expectRefused: AccessWorld['expectRefused'] = (...refusal) => world.expectRefused(...refusal);
const accessOf = ({ operationId }: Example) => ACCESS[operationId];

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

const STRANGERS: Readonly<Record<string, () => Promise<string>>> = {
  'another organization': async () => atlas.key(ALL_SCOPES, 'stranger'),
  'the owner of another organization, with a session': async () =>
    (await createUser(atlas, { organization: 'strangers', role: 'owner' })).token,
  'a test key of the same organization': async () => {
    const key = {
      owner: DEMO.owner,
      kind: 'test',
      name: 'test',
      scopes: ALL_SCOPES,
      expiresAt: null,
    } as const;
    return (await atlas.keys.create(key)).token;
  },
};

describe.each(Object.entries(STRANGERS))('%s', (who, create) => {
  let stranger: string;
  beforeAll(async () => {
    stranger = await create();
  });

  // Test keys are of the organization, too, and so is what is recorded about them.
  const ownTables = who.startsWith('a test key') ? ['api_keys', 'audit_entries'] : [];

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
