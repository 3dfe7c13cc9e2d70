import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { canCertify, certify, writeCertificate } from '../support/certificates.ts';
import { isPostgresHere } from '../support/postgres.ts';
import { startTlsPostgres, type TlsPostgres } from '../support/postgres-tls.ts';
import { makeFolder, removeFolder, runAtlas, startAtlas, succeedAtlas } from './atlas-process.ts';
import { startSteadyPayments } from './payments.ts';

const TIMEOUT_MS = 120_000;
/** One that only reads, one that migrates, and the start. */
const COMMANDS = [['doctor'], ['migrate'], ['key', 'list'], ['serve']] as const;

describe.if(canCertify() && isPostgresHere())('on a PostgreSQL that takes only TLS', () => {
  let server: TlsPostgres;
  let folder: string;
  let caFile: string;
  let otherCaFile: string;
  beforeAll(async () => {
    folder = await makeFolder();
    const certificate = await certify(['localhost']);
    await mkdir(join(folder, 'other'));
    ({ caFile } = await writeCertificate(folder, certificate));
    ({ caFile: otherCaFile } = await writeCertificate(join(folder, 'other'), await certify(['localhost'])));
    server = await startTlsPostgres(certificate);
  }, TIMEOUT_MS);
  afterAll(async () => {
    await server?.stop();
    await removeFolder(folder);
  });

  /** Settings that demand a certificate for the host name from an authority of the file. */
  function settings(host: string, file: string): Record<string, string> {
    const url = Object.assign(new URL(server.url), { hostname: host });
    return { DATABASE_URL: `${url.href}?sslmode=verify-full&sslrootcert=${file}`, API_WORKERS: '2' };
  }

  test(
    'every command refuses a certificate for another host, or from another authority, with what to do',
    async () => {
      for (const [given, remedy] of [
        [settings('127.0.0.1', caFile), 'Set DATABASE_URL to a host name of the certificate'],
        [settings('localhost', otherCaFile), 'Name the authority that issued the certificate'],
      ] as const) {
        for (const command of COMMANDS) {
          const { code, stderr } = await runAtlas(folder, command, given);
          expect({ command, code, stderr }).toMatchObject({ command, code: 1 });
          expect(stderr).toMatch(/The certificate of PostgreSQL is not accepted\.\n {2}why: {2}\S/);
          expect(stderr).toContain(`\n  do:   ${remedy}`);
        }
      }
    },
    TIMEOUT_MS,
  );

  test(
    'commands, the start, and payments through the shared committer work with the right authority',
    async () => {
      const given = settings('localhost', caFile);
      await succeedAtlas(folder, ['migrate'], given);
      const atlas = await startAtlas(folder, given);
      try {
        expect(JSON.parse(await succeedAtlas(folder, ['doctor', '--json'], given))).toMatchObject({
          ok: true,
          problems: [],
        });
        const payments = await startSteadyPayments(atlas.url, atlas.key!);
        await payments.settle();
      } finally {
        await atlas.end('SIGTERM');
      }
    },
    TIMEOUT_MS,
  );
});
