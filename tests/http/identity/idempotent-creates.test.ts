import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createFeatures } from '../../../src/features.ts';
import { generateKey } from '../../../src/utils/sealing.ts';
import { availableEngines } from '../../support/database.ts';
import { uploadFile } from '../../support/file-steps.ts';
import { createKey, pingStatus, postKey, postRevocation, postRotation } from '../../support/key-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { createSession, createUser } from '../../support/user-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

const BODY = { name: 'once', scopes: ['ping:read'] };
const KEY = generateKey();

describe.each(availableEngines())('creates with an Idempotency-Key on the %s PostgreSQL', (engine) => {
  let atlas: TestApp;
  beforeAll(async () => {
    atlas = await startTestApp({ SECRETS_KEY: KEY }, engine);
  }, START_TIMEOUT_MS);
  afterAll(() => atlas.close());

  const count = async (name: string) =>
    (await atlas.sql<[{ n: number }]>`SELECT count(*)::int AS n FROM api_keys WHERE name = ${name}`)[0].n;

  test('a repeated create returns the same bytes, and makes no second key', async () => {
    const first = await postKey(atlas, { ...BODY, name: 'same' }, { idempotencyKey: 'same' });
    const again = await postKey(atlas, { ...BODY, name: 'same' }, { idempotencyKey: 'same' });
    expect([first.status, again.status]).toEqual([201, 201]);
    expect(first.headers.get('idempotency-replayed')).toBeNull();
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(again.headers.get('location')).toBe(first.headers.get('location'));
    const text = await first.text();
    expect(await again.text()).toBe(text);
    expect(await count('same')).toBe(1);
    expect(await pingStatus(atlas, JSON.parse(text).token)).toBe(200);
    expect(await atlas.registry.metrics()).toMatch(/atlas_idempotent_replays_total [1-9]/);
  });

  test('concurrent retries all get the one key, also over several workers', async () => {
    const other = await startTestApp({ DATABASE_URL: atlas.deps.databaseUrl, SECRETS_KEY: KEY }, engine);
    const call = { token: await atlas.key(), idempotencyKey: 'rush' };
    const responses = await Promise.all(
      Array.from({ length: 8 }, (_, i) => postKey(i % 2 ? atlas : other, { ...BODY, name: 'rush' }, call)),
    );
    const tokens = await Promise.all(
      responses.map(async (response) => ((await response.json()) as { token: string }).token),
    );
    expect(new Set(tokens).size).toBe(1);
    expect(tokens[0]).toStartWith('atlas_live_');
    expect(await count('rush')).toBe(1);
    await other.close();
  });

  test('the same key with another body or path is refused, and changes nothing', async () => {
    const key = await createKey(atlas, { name: 'first' }, { idempotencyKey: 'reused' });
    const call = { idempotencyKey: 'reused' };
    for (const response of [
      await postKey(atlas, { ...BODY, name: 'second' }, call),
      await postKey(atlas, { name: 'first', scopes: ['accounts:read'] }, call),
      await postRotation(atlas, key.id, {}, call),
    ])
      await expectProblem(atlas, response, 422, 'idempotency_key_reused');
    expect(await count('second')).toBe(0);
    expect(await count('first')).toBe(1);
  });

  test('another organization has keys of its own, and never gets the response of the first', async () => {
    const other = { token: await atlas.key(undefined, 'someone'), idempotencyKey: 'shared' };
    const mine = await createKey(atlas, { name: 'shared' }, { idempotencyKey: 'shared' });
    const theirs = await createKey(atlas, { name: 'shared' }, other);
    expect(theirs.token).not.toBe(mine.token);
  });

  test('a person gets the same key again with another session, and no colleague does', async () => {
    const { id, token } = await createUser(atlas, { organization: 'owner' });
    const colleague = await createUser(atlas, { organization: 'owner' });
    const idempotencyKey = 'personal';
    const first = await createKey(atlas, { name: 'personal' }, { token, idempotencyKey });
    const later = { token: (await createSession(atlas, id, 'owner')).token, idempotencyKey };
    expect(await createKey(atlas, { name: 'personal' }, later)).toEqual(first);
    const theirs = { token: colleague.token, idempotencyKey };
    const refused = await postKey(atlas, { ...BODY, name: 'personal' }, theirs);
    await expectProblem(atlas, refused, 422, 'idempotency_key_reused');
    expect(await count('personal')).toBe(1);
  });

  test('a replay needs the scopes that the first request needed', async () => {
    const idempotencyKey = 'wide';
    const body = { name: 'wide', scopes: ['accounts:read', 'ping:read'] };
    const { id } = (await (await postKey(atlas, body, { idempotencyKey })).json()) as { id: string };
    const rotated = await postRotation(atlas, id, {}, { idempotencyKey: 'wide-rotation' });
    expect(rotated.status).toBe(201);
    const narrow = { token: await atlas.key(['keys:write', 'ping:read']) };
    await expectProblem(
      atlas,
      await postKey(atlas, body, { ...narrow, idempotencyKey }),
      403,
      'scopes_exceeded',
    );
    const replay = await postRotation(atlas, id, {}, { ...narrow, idempotencyKey: 'wide-rotation' });
    await expectProblem(atlas, replay, 403, 'scopes_exceeded');
  });

  test('a repeated rotation returns the same key, also when the old one has ended by then', async () => {
    const { id } = await createKey(atlas, { name: 'turning' });
    const call = { idempotencyKey: 'turn' };
    const first = await (await postRotation(atlas, id, { overlapSeconds: 0 }, call)).json();
    expect(await (await postRotation(atlas, id, { overlapSeconds: 0 }, call)).json()).toEqual(first);
    expect(await count('turning')).toBe(2);
  });

  test('a refused request stores nothing, so its key can be used once the reason is gone', async () => {
    const { id } = await createKey(atlas);
    await postRevocation(atlas, id);
    const call = { idempotencyKey: 'refused' };
    await expectProblem(atlas, await postRotation(atlas, id, {}, call), 409, 'api_key_ended');
    await atlas.sql`UPDATE api_keys SET revoked_at = NULL WHERE id = ${id}`;
    expect((await postRotation(atlas, id, {}, call)).status).toBe(201);
  });

  test.each(['', 'ä', 'two words', 'x'.repeat(256)])(
    '%p is no Idempotency-Key, or none at all',
    async (key) => {
      const response = await postKey(atlas, BODY, { idempotencyKey: key }).catch(() => null);
      // An empty header is none; one that is not ASCII cannot be sent.
      if (key === '') expect(response!.status).toBe(201);
      else if (response !== null) await expectProblem(atlas, response, 400, 'invalid_request');
    },
  );

  test('stored responses are sealed, and open only where they belong', async () => {
    const { token } = await createKey(atlas, {}, { idempotencyKey: 'sealed' });
    await createKey(atlas, {}, { idempotencyKey: 'moved' });
    const stored = await atlas.sql<{ response: string }[]>`SELECT response FROM idempotent_responses`;
    for (const { response } of stored) {
      expect(response).toStartWith('v1.');
      expect(response).not.toContain(token.split('_')[3]!);
    }
    await atlas.sql`
      UPDATE idempotent_responses SET response = (SELECT response FROM idempotent_responses WHERE key = 'sealed')
      WHERE key = 'moved'`;
    const replay = await postKey(atlas, { name: 'test', scopes: ['ping:read'] }, { idempotencyKey: 'moved' });
    const { detail } = await expectProblem(atlas, replay, 503, 'secrets_key_missing');
    expect(detail).not.toContain(token.split('_')[3]!);
  });

  test('after 24 hours a response is neither replayed nor stored', async () => {
    const first = await createKey(atlas, {}, { idempotencyKey: 'old' });
    await atlas.sql`UPDATE idempotent_responses SET created_at = now() - interval '25 hours' WHERE key = 'old'`;
    const second = await createKey(atlas, {}, { idempotencyKey: 'old' });
    expect(second.id).not.toBe(first.id);
    await atlas.sql`UPDATE idempotent_responses SET created_at = now() - interval '25 hours' WHERE key = 'old'`;
    await atlas.jobs.find(({ name }) => name === 'delete old idempotent responses')!.run();
    expect(await atlas.sql`SELECT FROM idempotent_responses WHERE key = 'old'`).toHaveLength(0);
    expect(await atlas.sql`SELECT FROM idempotent_responses`).not.toHaveLength(0);
  });

  test('a link to a file is replayed for as long as it works, and not stored for longer', async () => {
    const { id } = await uploadFile(atlas, 'linked');
    const link = async () => {
      const options = { headers: { 'Idempotency-Key': 'link' } };
      const response = await atlas.call('POST', `/v1/files/${id}/link`, options);
      return {
        ...((await response.json()) as object),
        replayed: response.headers.get('idempotency-replayed'),
      };
    };
    const later = (seconds: number) => atlas.sql`
      UPDATE idempotent_responses SET created_at = created_at - make_interval(secs => ${seconds}) WHERE key = 'link'`;
    const first = await link();
    await later(290);
    expect(await link()).toEqual({ ...first, replayed: 'true' });
    await later(11);
    expect(await link()).toMatchObject({ replayed: null });
    await later(301);
    await createKey(atlas, {}, { idempotencyKey: 'beside-a-link' });
    await atlas.jobs.find(({ name }) => name === 'delete old idempotent responses')!.run();
    expect(await atlas.sql`SELECT FROM idempotent_responses WHERE key = 'link'`).toHaveLength(0);
    expect(await atlas.sql`SELECT FROM idempotent_responses WHERE key = 'beside-a-link'`).toHaveLength(1);
  });

  test('a rotation of the secrets key seals them again, and the former key is not needed after it', async () => {
    const call = { token: await atlas.key(), idempotencyKey: 'resealed' };
    const first = await createKey(atlas, {}, call);
    // Its response contains no secret, so it is none of those.
    const account = { json: { ledger: 'EUR' }, headers: { 'Idempotency-Key': 'unsealed-account' } };
    expect((await atlas.call('POST', '/v1/accounts', account)).status).toBe(201);
    const next = generateKey();
    const both = { DATABASE_URL: atlas.deps.databaseUrl, SECRETS_KEY: next, SECRETS_FORMER_KEYS: KEY };
    const rotating = await startTestApp(both, engine);
    const [responses] = createFeatures(rotating.deps).identity.secrets;
    await atlas.sql`DELETE FROM idempotent_responses WHERE key = 'moved'`;
    expect((await responses!.count()).otherKey).toBeGreaterThan(0);
    expect(await responses!.sealStep(null)).toMatchObject({ failed: [], nextId: null });
    expect((await responses!.count()).otherKey).toBe(0);
    await rotating.close();
    const after = await startTestApp({ DATABASE_URL: atlas.deps.databaseUrl, SECRETS_KEY: next }, engine);
    expect((await createKey(after, {}, call)).token).toBe(first.token);
    await after.close();
  });

  test('without a key for secrets outside of development, a create works without an Idempotency-Key only', async () => {
    const production = await startTestApp({ ENVIRONMENT: 'production' }, engine);
    const refused = await postKey(production, BODY, { idempotencyKey: 'unsealed' });
    await expectProblem(production, refused, 503, 'secrets_key_missing');
    expect(await production.sql`SELECT FROM api_keys WHERE name = 'once'`).toHaveLength(0);
    expect((await postKey(production, BODY)).status).toBe(201);
    await production.close();
  });
});
