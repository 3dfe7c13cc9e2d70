import { afterAll, beforeAll, expect, test } from 'bun:test';
import { stat } from 'node:fs/promises';
import { openPostgres, type Sql } from '../../src/adapters/postgres/postgres.ts';
import { freshDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { makeFolder, removeFolder, runAtlas, startAtlas, succeedAtlas } from './atlas-process.ts';

const COMMAND_TIMEOUT_MS = 60_000;
let folder: string;
let sql: Sql;
let settings: Record<string, string>;
beforeAll(async () => {
  folder = await makeFolder();
  const url = await freshDatabase();
  settings = { DATABASE_URL: url, AUDIT_KEY: (await succeedAtlas(folder, ['secrets', 'key'])).trim() };
  sql = openPostgres({ url, connectionsMax: 1, timeoutSeconds: 10 });
}, COMMAND_TIMEOUT_MS);
afterAll(async () => {
  await sql.end();
  await removeFolder(folder);
});

const auditPart = async (more: Record<string, string>) => {
  const { stdout } = await runAtlas(folder, ['doctor', '--json'], {
    DATABASE_URL: settings.DATABASE_URL!,
    ...more,
  });
  const { parts, problems } = JSON.parse(stdout);
  return {
    part: parts.find(({ part }: { part: string }) => part === 'audit'),
    problems: problems.join('\n'),
  };
};

test(
  'a running Atlas seals what is changed, with the address of the caller, and atlas audit verify finds a deletion',
  async () => {
    const created = await runAtlas(folder, ['key', 'create', '--name', 'auditor'], settings);
    const atlas = await startAtlas(folder, settings);
    try {
      const headers = {
        Authorization: `Bearer ${created.stdout.trim()}`,
        'Content-Type': 'application/json',
      };
      const body = JSON.stringify({ name: 'x', scopes: ['ping:read'] });
      const response = await fetch(`${atlas.url}/v1/api-keys`, { method: 'POST', headers, body });
      expect(response.status).toBe(201);
      const read = async () =>
        (await (await fetch(`${atlas.url}/v1/audit`, { headers })).json()) as {
          entries: { actor: { address: string }; position: number | null }[];
        };
      await until(async () => (await read()).entries.every(({ position }) => position !== null));
      expect((await read()).entries[0]!.actor.address).toMatch(/127\.0\.0\.1|::1/);
    } finally {
      await atlas.end('SIGTERM');
    }
    const intact = await runAtlas(folder, ['audit', 'verify'], settings);
    expect(intact.code).toBe(0);
    expect(intact.stdout).toMatch(
      /^The audit log is intact: \d+ sealed, 0 not sealed yet\.\nhead: \d+:[\w-]{43}\n$/,
    );
    const { part, problems } = await auditPart({ AUDIT_KEY: settings.AUDIT_KEY! });
    expect(part).toMatchObject({ mode: 'sealed' });
    expect(part.where).toContain('AUDIT_KEY');
    expect(part.where).toContain('audit-head.json and the log');
    expect(problems).not.toContain('audit');

    await sql`SET session_replication_role = replica`;
    await sql`DELETE FROM audit_entries WHERE position = 2`;
    const broken = await runAtlas(folder, ['audit', 'verify'], settings);
    expect(broken.code).toBe(1);
    expect(broken.stderr).toContain('broken at position 2');
    expect((await runAtlas(folder, ['audit', 'verify', '--head', 'x'], settings)).code).toBe(1);
  },
  COMMAND_TIMEOUT_MS,
);

test(
  'atlas doctor says that nothing is sealed without a key, which is a problem in production',
  async () => {
    const { part, problems } = await auditPart({ ENVIRONMENT: 'production' });
    expect(part.mode).toBe('not sealed');
    expect(problems).toContain('AUDIT_KEY');
    expect((await auditPart({})).problems).not.toContain('AUDIT_KEY');
  },
  COMMAND_TIMEOUT_MS,
);

test(
  'with the embedded PostgreSQL entries are sealed without any setting, and the key lies beside its folder',
  async () => {
    const own = await makeFolder();
    const atlas = await startAtlas(own);
    try {
      const sealed = async () => {
        const { stdout } = await runAtlas(own, ['audit', 'verify']);
        return /^The audit log is intact: [1-9]\d* sealed, 0 not sealed yet\./.test(stdout);
      };
      await until(sealed, { pollMs: 200 });
      const { parts } = JSON.parse((await runAtlas(own, ['doctor', '--json'])).stdout);
      const { where } = parts.find(({ part }: { part: string }) => part === 'audit');
      const [, keyFile] = /key in (\S+audit\.key),/.exec(where)!;
      expect((await stat(keyFile!)).mode & 0o777).toBe(0o600);
      expect(keyFile).not.toContain('postgres');
    } finally {
      await atlas.end('SIGTERM');
      await removeFolder(own);
    }
  },
  COMMAND_TIMEOUT_MS,
);
