import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../infra/free-port.ts';
import { type TestCertificate, writeCertificate } from './certificates.ts';
import { startTestRedis, type TestRedis } from './redis.ts';

/** Starts a Redis that takes only TLS and this password. Its URL names `localhost`. */
export async function startTlsRedis(certificate: TestCertificate, password: string): Promise<TestRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'atlas-test-redis-tls-'));
  const { certFile, keyFile } = await writeCertificate(folder, certificate);
  const port = await freePort();
  const tls = ['--tls-port', `${port}`, '--tls-cert-file', certFile, '--tls-key-file', keyFile];
  const service = await startTestRedis({
    port,
    args: ['--port', '0', ...tls, '--tls-auth-clients', 'no', '--requirepass', password],
  });
  return Object.assign(Object.create(service) as TestRedis, {
    url: `rediss://:${password}@localhost:${port}`,
    async stop() {
      await service.stop();
      await rm(folder, { recursive: true, force: true });
    },
  });
}
