import { chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { serverIds } from '../../infra/native-postgres.ts';
import type { TestCertificate } from './certificates.ts';
import { startTestPostgres, type TestPostgres } from './postgres.ts';
import { until } from './until.ts';

/** A PostgreSQL that refuses connections without TLS. Its certificate can be replaced. */
export interface TlsPostgres extends TestPostgres {
  present(certificate: TestCertificate): Promise<void>;
}

/** Starts a PostgreSQL with TLS on, and refuses all connections without it from then on. */
export async function startTlsPostgres(certificate: TestCertificate): Promise<TlsPostgres> {
  const own = await mkdtemp(join(tmpdir(), 'atlas-test-postgres-tls-'));
  await chmod(own, 0o755);
  const folder = join(own, 'cluster');
  const server = await startTestPostgres({ folder });
  const present = (next: TestCertificate) => loadCertificate(server.url, join(folder, 'data'), next);
  await present(certificate);
  await writeFile(join(folder, 'data', 'pg_hba.conf'), 'hostssl all all 127.0.0.1/32 trust\n');
  await present(certificate);
  const stop = async () => {
    await server.stop();
    await rm(own, { recursive: true, force: true });
  };
  return Object.assign(Object.create(server) as TestPostgres, { present, stop });
}

async function loadCertificate(url: string, data: string, { cert, key }: TestCertificate): Promise<void> {
  const { uid, gid } = await serverIds();
  for (const [name, text] of [
    ['server.crt', cert],
    ['server.key', key],
  ] as const) {
    const file = join(data, name);
    await writeFile(file, text);
    await chmod(file, 0o600);
    if (uid !== undefined) await chown(file, uid, gid!);
  }
  const admin = postgres(url, { max: 1, ssl: 'prefer', onnotice: () => {} });
  try {
    const [before] = await admin`SELECT pg_conf_load_time() AS at`;
    await admin`ALTER SYSTEM SET ssl = on`;
    await admin`SELECT pg_reload_conf()`;
    await until(async () => {
      const [now] = await admin`SELECT pg_conf_load_time() AS at, current_setting('ssl') AS ssl`;
      return now!.ssl === 'on' && now!.at > before!.at;
    });
  } finally {
    await admin.end();
  }
}
