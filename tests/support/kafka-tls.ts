import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../infra/free-port.ts';
import type { TestCertificate } from './certificates.ts';
import { startTestKafka, type TestKafka } from './kafka.ts';

/** A Kafka with a listener that takes only TLS and a login. */
export interface SecuredKafka extends TestKafka {
  /** The port of that listener, which advertises `localhost`. */
  readonly securedPort: number;
}

/** Starts a Kafka whose user may log in with any mechanism. */
export async function startSecuredKafka(
  { key, cert }: TestCertificate,
  { username, password }: { readonly username: string; readonly password: string },
): Promise<SecuredKafka> {
  const folder = await mkdtemp(join(tmpdir(), 'atlas-test-kafka-tls-'));
  const keyStoreFile = join(folder, 'key-store.pem');
  await writeFile(keyStoreFile, `${key}\n${cert}`);
  const port = await freePort();
  const kafka = await startTestKafka({ secured: { port, keyStoreFile, username, password } });
  return Object.assign(Object.create(kafka) as TestKafka, {
    securedPort: port,
    async stop() {
      await kafka.stop();
      await rm(folder, { recursive: true, force: true });
    },
  });
}
