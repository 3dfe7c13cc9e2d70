import { afterAll, beforeAll, expect, test } from 'bun:test';
import { Incarnation } from '../../../src/adapters/postgres/incarnation.ts';
import { createFileRepository } from '../../../src/features/files/repository.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

const ACTOR = { kind: 'command', id: 'test' } as const;

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const runJob = (name: string) => atlas.jobs.find((job) => job.name === name)!.run();
const upload = (name: string) => ({ id: crypto.randomUUID(), owner: 'owner', name, mediaType: 'text/plain' });
const uploading = async () =>
  (
    await atlas.sql`SELECT name FROM files WHERE state = 'uploading' AND expires_at > now() ORDER BY name`
  ).map(({ name }) => name);

test('an upload ends with the worker that receives it, so that its owner can upload again; others go on', async () => {
  const { database } = atlas.deps;
  const [dying, living] = [new Incarnation(database, 'dying'), new Incarnation(database, 'living')];
  const begin = (holder: Incarnation, name: string) =>
    createFileRepository(database, holder).begin(upload(name), 300, 3);
  expect(await begin(dying, 'lost')).not.toBeNull();
  expect(await begin(living, 'kept')).not.toBeNull();
  // Its bytes are sent to a link, and any worker may receive them.
  await createFileRepository(database, dying).initiate(upload('linked'), 300, 3, ACTOR);
  expect(await begin(living, 'too many')).toBeNull();
  await runJob('end uploads of dead workers');
  expect(await uploading()).toEqual(['kept', 'linked', 'lost']);
  await dying.close();
  await runJob('end uploads of dead workers');
  expect(await uploading()).toEqual(['kept', 'linked']);
  expect(await begin(living, 'next')).not.toBeNull();
  // One that is only silent, as while PostgreSQL is unavailable, may still bring its bytes.
  await atlas.sql`UPDATE incarnations SET expires_at = clock_timestamp() - interval '1 minute'`;
  await runJob('end uploads of dead workers');
  expect(await uploading()).toEqual(['kept', 'linked', 'next']);
  await living.close();
});
