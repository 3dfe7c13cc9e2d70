import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConnectionUrl } from '../../../src/adapters/postgres/connection-url.ts';
import { probePostgres } from '../../../src/adapters/postgres/probe-postgres.ts';
import { requireServer } from '../../../src/adapters/postgres/require-server.ts';
import { canCertify, certify, type TestCertificate } from '../../support/certificates.ts';
import { openTestDatabase } from '../../support/database.ts';
import { isPostgresHere } from '../../support/postgres.ts';
import { startTlsPostgres, type TlsPostgres } from '../../support/postgres-tls.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';

const TIMEOUT_SECONDS = 5;
const SSL_REQUEST = '0000000804d2162f';
const TLS_HANDSHAKE = 0x16;

describe.if(canCertify() && isPostgresHere())('PostgreSQL with TLS', () => {
  let server: TlsPostgres;
  let folder: string;
  let certificate: TestCertificate;
  let otherName: TestCertificate;
  let caFile: string;
  let otherCaFile: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'atlas-test-postgres-ca-'));
    certificate = await certify(['localhost']);
    otherName = await certify(['db.example.com']);
    caFile = join(folder, 'ca.pem');
    otherCaFile = join(folder, 'other ca.pem');
    await writeFile(caFile, certificate.ca);
    await writeFile(otherCaFile, otherName.ca);
    server = await startTlsPostgres(certificate);
  }, START_TIMEOUT_MS);
  afterAll(async () => {
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** The URL as Atlas passes it to its pools, with the host of the certificate. */
  function urlWith(parameters: string, { host = 'localhost', port = '' } = {}): string {
    const url = Object.assign(new URL(server.url), { hostname: host });
    if (port !== '') url.port = port;
    return readConnectionUrl(`${url.href}?${parameters}`).url;
  }
  const errorOf = (url: string) =>
    requireServer(url, TIMEOUT_SECONDS).then(
      () => null,
      (error: Error) => error.message,
    );

  test('that has a certificate of the named authority for this host is used over TLS', async () => {
    const url = urlWith(`sslmode=verify-full&sslrootcert=${encodeURIComponent(caFile)}`);
    expect(await errorOf(url)).toBeNull();
    const database = openTestDatabase(url);
    const [row] = await database.query(
      (sql) => sql<{ ssl: boolean }[]>`SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()`,
    );
    await database.end();
    expect(row).toEqual({ ssl: true });
  });

  test('whose certificate is for another host name is refused, with what to do', async () => {
    const error = await errorOf(urlWith(`sslmode=verify-full&sslrootcert=${caFile}`, { host: '127.0.0.1' }));
    expect(error).toMatch(
      /^The certificate of PostgreSQL is not accepted\.\n {2}why: .*127\.0\.0\.1.*\n {2}do: {3}Set DATABASE_URL to a host name of the certificate/,
    );
  });

  test('whose authority is unknown is refused, with what to do', async () => {
    for (const parameters of [
      'sslmode=verify-full',
      'sslrootcert=system',
      `sslmode=verify-full&sslrootcert=${encodeURIComponent(otherCaFile)}`,
    ]) {
      expect(await errorOf(urlWith(parameters))).toMatch(
        /^The certificate of PostgreSQL is not accepted\.\n {2}why: .*\n {2}do: {3}Name the authority .* in sslrootcert of DATABASE_URL/,
      );
    }
  });

  test('is not checked with a plain `require`, and its authority alone is if it is named', async () => {
    expect(await errorOf(urlWith('sslmode=require', { host: '127.0.0.1' }))).toBeNull();
    const named = (file: string) => `sslmode=require&sslrootcert=${encodeURIComponent(file)}`;
    expect(await errorOf(urlWith(named(caFile), { host: '127.0.0.1' }))).toBeNull();
    expect(await errorOf(urlWith(named(otherCaFile), { host: '127.0.0.1' }))).toContain('not accepted');
  });

  test('is checked, name included, if only an authority is named, and with verify-ca', async () => {
    for (const parameters of [`sslrootcert=${caFile}`, `sslmode=verify-ca&sslrootcert=${caFile}`]) {
      expect(await errorOf(urlWith(parameters))).toBeNull();
      expect(await errorOf(urlWith(parameters, { host: '127.0.0.1' }))).toContain('not accepted');
    }
  });

  test('needs a file of authorities that can be read', async () => {
    const broken = join(folder, 'broken.pem');
    await writeFile(broken, 'not a certificate');
    for (const file of [join(folder, 'missing.pem'), broken]) {
      const open = () => openTestDatabase(urlWith(`sslrootcert=${file}`));
      expect(open).toThrow(
        /^The certificate authorities of sslrootcert of DATABASE_URL cannot be used\.\n {2}why: .*\n {2}do: /,
      );
    }
  });

  test('that presents another certificate while Atlas runs makes requests unavailable, with what to do', async () => {
    const database = openTestDatabase(urlWith(`sslmode=verify-full&sslrootcert=${caFile}`));
    try {
      await database.ping();
      await server.present(otherName);
      // It keeps the open connection busy, so the next query needs a new one.
      const busy = database.query((sql) => sql`SELECT pg_sleep(0.5)`);
      await expect(database.ping()).rejects.toMatchObject({
        code: 'dependency_unavailable',
        remedy: expect.stringContaining('sslrootcert of DATABASE_URL'),
      });
      await busy;
      await server.present(certificate);
      await database.ping();
    } finally {
      await server.present(certificate);
      await database.end({ timeout: 1 });
    }
  });

  test('gets every connection over TLS: those of the pool, of a probe, and of a cancel request', async () => {
    const tap = await startTap(Number(new URL(server.url).port));
    const url = urlWith(`sslmode=verify-full&sslrootcert=${caFile}`, { port: `${tap.port}` });
    const database = openTestDatabase(url);
    try {
      await probePostgres(url, AbortSignal.timeout(5000));
      expect(tap.starts).toHaveLength(1);
      await database.ping();
      expect(tap.starts).toHaveLength(2);
      const abort = new AbortController();
      const sleeping = database.query((sql) => sql`SELECT pg_sleep(30)`, { signal: abort.signal });
      const isSleeping = async () => {
        const [row] = await database.query(
          (sql) => sql<{ sleeping: number }[]>`
            SELECT count(*)::int AS sleeping FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(30)%'`,
        );
        return row!.sleeping > 0;
      };
      await until(isSleeping);
      await Bun.sleep(150);
      const opened = tap.starts.length;
      abort.abort();
      await expect(sleeping).rejects.toThrow();
      await until(async () => !(await isSleeping()));
      expect(tap.starts).toHaveLength(opened + 1);
      for (const { request, next } of tap.starts)
        expect({ request, next }).toEqual({ request: SSL_REQUEST, next: TLS_HANDSHAKE });
    } finally {
      await database.end({ timeout: 1 });
      tap.stop();
    }
  });
});

interface Tap {
  readonly port: number;
  /** Of each connection, its first message, and the first byte of what follows. */
  readonly starts: { request: string; next: number | null }[];
  stop(): void;
}

/** Forwards to the port, and records how each connection starts. */
async function startTap(target: number): Promise<Tap> {
  const starts: Tap['starts'] = [];
  const sockets = new Set<Socket>();
  const server: Server = createServer((client) => {
    const start: Tap['starts'][number] = { request: '', next: null };
    const upstream = connect(target, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
    }
    client.on('data', (chunk: Buffer) => {
      if (start.request === '') {
        start.request = chunk.toString('hex');
        starts.push(start);
      } else start.next ??= chunk[0]!;
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => void client.write(chunk));
    client.on('close', () => upstream.end());
    upstream.on('close', () => client.end());
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as { port: number };
  const stop = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { port, starts, stop };
}
