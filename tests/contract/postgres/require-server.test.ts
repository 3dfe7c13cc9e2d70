import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import {
  findPgBouncer,
  type PgBouncer,
  type PgBouncerOptions,
  startPgBouncer,
} from '../../../infra/pgbouncer.ts';
import { requireServer } from '../../../src/adapters/postgres/require-server.ts';
import { freshDatabase, openTestDatabase } from '../../support/database.ts';
import { isAvailable } from '../../support/is-available.ts';
import { openAccount, postTransfer } from '../../support/ledger-steps.ts';
import { isPostgresHere, startTestPostgres, type TestPostgres } from '../../support/postgres.ts';
import { callWithoutKey, START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';

const RUNBOOK = join(import.meta.dir, '../../../docs/runbooks/004-several-hosts-and-releases.md');
const TIMEOUT_SECONDS = 10;

describe.if(isPostgresHere())('a server that Atlas', () => {
  let server: TestPostgres;
  let admin: postgres.Sql;
  let atlas: TestApp | undefined;
  beforeAll(async () => {
    server = await startTestPostgres();
    admin = postgres(server.url, { max: 1, onnotice: () => {} });
  }, START_TIMEOUT_MS);
  afterEach(async () => {
    await atlas?.close();
    atlas = undefined;
  });
  afterAll(async () => {
    await admin?.end();
    await server?.stop();
  });

  const urlOf = (database: string) => Object.assign(new URL(server.url), { pathname: `/${database}` }).href;
  const errorOf = (url: string) =>
    requireServer(url, TIMEOUT_SECONDS).then(
      () => null,
      (error: Error) => error.message,
    );

  test('can run on passes', async () => {
    expect(await errorOf(server.url)).toBeNull();
    expect(await errorOf(`${server.url}?application_name=a&options=-c%20geqo%3Doff`)).toBeNull();
  });

  test('cannot store every text in is refused with the way to create a database that can', async () => {
    await admin`CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`;
    const error = await errorOf(urlOf('latin'));
    expect(error).toMatch(
      /^The database latin cannot store every text\.\n {2}why: {2}its encoding is LATIN1/,
    );
    expect(error).toContain(
      "do:   create another one and set DATABASE_URL to it: CREATE DATABASE atlas ENCODING 'UTF8'",
    );
  });

  test('has no TLS, or no such parameter, is refused with the reason', async () => {
    expect(await errorOf(`${server.url}?sslmode=require`)).toMatch(
      /^PostgreSQL offers no TLS\.\n {2}why:.*\n {2}do: {3}turn ssl on/,
    );
    const unknown = await errorOf(`${server.url}?colour=blue`);
    expect(unknown).toContain('DATABASE_URL has a parameter that PostgreSQL does not know.');
    expect(unknown).toContain('unrecognized configuration parameter "colour"');
  });

  test('finds read-only serves reads, and writes again once it may', async () => {
    const url = await freshDatabase('native');
    atlas = await startTestApp({ DATABASE_URL: url });
    const { id } = await openAccount(atlas);
    const { sql } = atlas;
    const set = async (value: 'on' | 'off') => {
      await sql`ALTER DATABASE ${sql(new URL(url).pathname.slice(1))} SET default_transaction_read_only = ${sql.unsafe(value)}`;
      // A session keeps what it started with.
      await sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()`;
    };
    await set('on');
    const read = () => atlas!.call('GET', `/v1/accounts/${id}`);
    await until(async () => (await read()).status === 200);
    const write = () => atlas!.call('POST', '/v1/accounts', { json: { ledger: 'EUR' } });
    const refused = await write();
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ type: '/problems/dependency_unavailable' });
    expect((await read()).status).toBe(200);
    await sql`SET default_transaction_read_only = off`;
    await set('off');
    await until(async () => (await write()).status === 201);
  });
});

describe.if(isPostgresHere() && isAvailable('PgBouncer', findPgBouncer()))('behind PgBouncer, Atlas', () => {
  let server: TestPostgres;
  let folder: string;
  let pooler: PgBouncer | undefined;
  beforeAll(async () => {
    server = await startTestPostgres();
  }, START_TIMEOUT_MS);
  afterEach(async () => {
    await pooler?.end('SIGKILL');
    pooler = undefined;
    await rm(folder, { recursive: true, force: true });
  });
  afterAll(() => server?.stop());

  async function start(options: PgBouncerOptions, databaseUrl = server.url): Promise<string> {
    folder = await mkdtemp(join(tmpdir(), 'atlas-test-pgbouncer-'));
    await chmod(folder, 0o755);
    pooler = await startPgBouncer(folder, databaseUrl, options);
    return pooler.url;
  }

  const blockOf = (language: string) =>
    new RegExp(`### Poolers[\\s\\S]*?\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(
      readFileSync(RUNBOOK, 'utf8'),
    )![1]!;
  const configuration = blockOf('ini');
  const otherSettings = configuration.replace('pool_mode = session', '');

  test.each(['', 'server_round_robin = 1', 'default_pool_size = 1'])(
    'refuses the transaction mode, which lends a session to several clients: %s',
    async (more) => {
      const url = await start({ poolMode: 'transaction', configuration: `${otherSettings}\n${more}` });
      await expect(requireServer(url, TIMEOUT_SECONDS)).rejects.toThrow(
        /^The pooler in front of PostgreSQL is in transaction mode\.\n {2}why: .*\n {2}do: .*pool_mode = session/,
      );
    },
  );

  test('refuses a pool of one connection, which would keep its second connection waiting', async () => {
    const url = await start({
      poolMode: 'session',
      configuration: `${configuration}\ndefault_pool_size = 1`,
    });
    await expect(requireServer(url, 1)).rejects.toThrow(/^PostgreSQL has no connection left for Atlas\./);
  });

  test('refuses a pooler that is not prepared, and says where the preparation is', async () => {
    const url = await start({ poolMode: 'session' });
    await expect(requireServer(url, TIMEOUT_SECONDS)).rejects.toThrow(
      /^The pooler in front of PostgreSQL refuses the settings of a session\.\n {2}why: .*\n {2}do: .*runbooks\/004/,
    );
  });

  test('refuses one that drops its settings while the role does not have them', async () => {
    const url = await start({ poolMode: 'session', configuration });
    const database = openTestDatabase(url, { timeoutSeconds: TIMEOUT_SECONDS });
    await expect(database.requireSession()).rejects.toThrow(/ignores settings that Atlas relies on/);
    await database.end();
  });

  test(
    'runs in session mode once it is prepared as in the runbook',
    async () => {
      const direct = await freshDatabase('native');
      const admin = postgres(direct, { max: 1, onnotice: () => {} });
      await admin.unsafe(
        blockOf('sql').replaceAll('DATABASE atlas', `DATABASE ${new URL(direct).pathname.slice(1)}`),
      );
      await admin.end();
      const url = await start({ poolMode: 'session', configuration }, direct);
      expect(new URL(url).port).not.toBe(new URL(direct).port);
      const atlas = await startTestApp({ DATABASE_URL: url, DATABASE_TIMEOUT: `${TIMEOUT_SECONDS}` });
      try {
        await atlas.deps.database.requireSession();
        const [bank, alice] = [await openAccount(atlas), await openAccount(atlas)];
        const order = { debitAccountId: bank.id, creditAccountId: alice.id, amount: 5 };
        const posted = await Promise.all(Array.from({ length: 20 }, () => postTransfer(atlas, order)));
        expect(posted.map(({ status }) => status)).toEqual(Array(20).fill(201));
        expect((await callWithoutKey(atlas, 'GET', '/health/ready')).status).toBe(200);
      } finally {
        await atlas.close();
      }
    },
    START_TIMEOUT_MS,
  );
});
