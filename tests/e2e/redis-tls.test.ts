import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../infra/free-port.ts';
import { canCertify, certify, writeCertificate } from '../support/certificates.ts';
import { freshDatabase } from '../support/database.ts';
import { isRedisHere, startTestRedis, type TestRedis } from '../support/redis.ts';
import { startTlsRedis } from '../support/redis-tls.ts';
import { SECRETS_KEY } from '../support/secrets-key.ts';
import { until } from '../support/until.ts';
import { makeFolder, removeFolder, runAtlas, startAtlas } from './atlas-process.ts';
import { expectUnusable } from './unusable-settings.ts';

const TIMEOUT_MS = 120_000;
const PASSWORD = 'not-to-be-seen';
// WRONGPASS, and the certificate errors.
const UNUSABLE = /Redis cannot be used with these settings\.\n {2}why: {2}\S.*\n {2}do: {3}\S/;

describe.if(canCertify() && isRedisHere())('on a Redis that takes only TLS', () => {
  let redis: TestRedis;
  let folder: string;
  let files: { caFile: string; otherCaFile: string; brokenCaFile: string };
  let settings: Record<string, string>;
  beforeAll(async () => {
    folder = await makeFolder();
    const certificate = await certify(['localhost']);
    await mkdir(join(folder, 'other'));
    const { caFile } = await writeCertificate(folder, certificate);
    const other = await writeCertificate(join(folder, 'other'), await certify(['localhost']));
    files = { caFile, otherCaFile: other.caFile, brokenCaFile: join(folder, 'broken.pem') };
    await writeFile(files.brokenCaFile, 'not a certificate');
    redis = await startTlsRedis(certificate, PASSWORD);
    settings = {
      DATABASE_URL: await freshDatabase(),
      ENVIRONMENT: 'staging',
      SECRETS_KEY,
      API_WORKERS: '2',
      REDIS_URL: redis.url,
      REDIS_CA_FILE: caFile,
    };
  }, TIMEOUT_MS);
  afterAll(async () => {
    await redis?.stop();
    await removeFolder(folder);
  });

  test(
    'a wrong host, authority, or password ends the start, and doctor reports it: what failed, why, and what to do',
    async () => {
      const cases = [
        [
          { REDIS_URL: redis.url.replace('localhost', '127.0.0.1') },
          'Set REDIS_URL to a host name of the cert',
        ],
        [{ REDIS_CA_FILE: files.otherCaFile }, 'Name the authority that issued the certificate'],
        [
          { REDIS_CA_FILE: '' },
          'Name the authority that issued the certificate of the server in REDIS_CA_FILE',
        ],
        [
          { REDIS_URL: redis.url.replace(PASSWORD, 'wrong-one') },
          'Correct the user and the password in REDIS_URL',
        ],
        [
          { REDIS_URL: redis.url.replace(`:${PASSWORD}@`, '') },
          'Correct the user and the password in REDIS_URL',
        ],
      ] as const;
      for (const [change, remedy] of cases)
        await expectUnusable(folder, { ...settings, ...change }, UNUSABLE, remedy);
    },
    TIMEOUT_MS,
  );

  test(
    'a file without a certificate ends the start, and doctor reports it',
    async () => {
      const given = { ...settings, REDIS_CA_FILE: files.brokenCaFile };
      const fault = /authorities of REDIS_CA_FILE cannot be used\.\n {2}why: {2}\S.*\n {2}do: {3}\S/;
      expect(await runAtlas(folder, ['serve'], given)).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(fault),
      });
      expect(await runAtlas(folder, ['doctor'], given)).toMatchObject({
        code: 1,
        stdout: expect.stringMatching(fault),
      });
    },
    TIMEOUT_MS,
  );

  test(
    'workers share the cap and the cache over TLS, and doctor finds no problem',
    async () => {
      const atlas = await startAtlas(folder, settings);
      try {
        await until(async () => (await atlas.status()).slots.every(({ worker }) => worker?.mode === 'fresh'));
        const deep = (await (await fetch(`${atlas.url}/health/deep`)).json()) as { dependencies: object[] };
        for (const name of ['redis', 'redis-cache'])
          expect(deep.dependencies).toContainEqual(expect.objectContaining({ name, status: 'healthy' }));
        const port = new URL(atlas.url).port;
        const doctor = await runAtlas(folder, ['doctor', '--json'], { ...settings, API_PORT: port });
        expect(JSON.parse(doctor.stdout)).toMatchObject({ ok: true, problems: [] });
        expect(doctor.stdout).not.toContain(PASSWORD);
      } finally {
        await atlas.end('SIGTERM');
      }
      expect(atlas.output()).not.toContain(PASSWORD);
    },
    TIMEOUT_MS,
  );

  test(
    'a Redis that does not respond is no reason not to start',
    async () => {
      const down = `rediss://localhost:${await freePort()}`;
      const plain = await startTestRedis();
      for (const url of [down, plain.url.replace('redis://127.0.0.1', 'rediss://localhost')]) {
        const atlas = await startAtlas(folder, { ...settings, REDIS_URL: url });
        expect((await fetch(`${atlas.url}/health/ready`)).status).toBe(200);
        await atlas.end('SIGTERM');
      }
      await plain.stop();
    },
    TIMEOUT_MS,
  );

  test(
    'a certificate that is no longer accepted while Atlas runs is logged with what to do, and requests go on',
    async () => {
      const own = await startTlsRedis(await certify(['localhost']), PASSWORD);
      const caFile = join(folder, 'own.pem');
      // Atlas starts while it is down, so that nothing has checked it.
      await writeFile(caFile, (await certify(['localhost'])).ca);
      await own.kill();
      const atlas = await startAtlas(folder, { ...settings, REDIS_URL: own.url, REDIS_CA_FILE: caFile });
      try {
        await own.restart();
        await until(() => atlas.output().includes('the connection to Redis failed'));
        await until(
          () => /do="?Name the authority/.test(atlas.output()) || atlas.output().includes('"do":"Name'),
        );
        expect((await fetch(`${atlas.url}/health/ready`)).status).toBe(200);
      } finally {
        await atlas.end('SIGTERM');
        await own.stop();
      }
    },
    TIMEOUT_MS,
  );
});
