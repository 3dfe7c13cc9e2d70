import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { reachRedis } from '../../../src/adapters/redis/redis.ts';
import { redisFault } from '../../../src/adapters/redis/redis-fault.ts';
import { canCertify, certify } from '../../support/certificates.ts';
import { isRedisHere, type TestRedis } from '../../support/redis.ts';
import { startTlsRedis } from '../../support/redis-tls.ts';

describe.if(canCertify() && isRedisHere())('a Redis with TLS', () => {
  let redis: TestRedis;
  let folder: string;
  let caFile: string;
  let otherCaFile: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'atlas-test-redis-ca-'));
    const certificate = await certify(['localhost']);
    caFile = join(folder, 'ca.pem');
    otherCaFile = join(folder, 'other.pem');
    await writeFile(caFile, certificate.ca);
    await writeFile(otherCaFile, (await certify(['localhost'])).ca);
    redis = await startTlsRedis(certificate, 'secret');
  });
  afterAll(async () => {
    await redis?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const faultOf = (url: string, file?: string) =>
    reachRedis({ url, caFile: file, timeoutMs: 2000 }).then(() => null, redisFault);

  test('is reached with its authority, its host name, and its password', async () => {
    expect(await faultOf(redis.url, caFile)).toBeNull();
  });

  test('is not used if its certificate is for another host, or from another authority', async () => {
    expect(await faultOf(redis.url.replace('localhost', '127.0.0.1'), caFile)).toContain('Set REDIS_URL to');
    expect(await faultOf(redis.url, otherCaFile)).toContain('in REDIS_CA_FILE');
    expect(await faultOf(redis.url)).toContain('in REDIS_CA_FILE');
  });

  test('that rejects the login is no outage', async () => {
    for (const login of [':wrong@', 'nobody:secret@', ''])
      expect(await faultOf(redis.url.replace(':secret@', login), caFile)).toContain('Correct the user and');
  });
});
