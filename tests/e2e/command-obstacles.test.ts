import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import postgres from 'postgres';
import { readMigrations } from '../../src/adapters/postgres/migrations.ts';
import { freshDatabase } from '../support/database.ts';
import { canUnshare } from '../support/embedded-starter.ts';
import { type Finished, makeFolder, removeFolder, runAtlas } from './atlas-process.ts';

const TIMEOUT_MS = 120_000;
/** Commands that read or change what is in the database. */
const WITH_SERVICE = [
  ['key', 'list'],
  ['key', 'create', '--name', 'a'],
  ['key', 'revoke', 'a'],
  ['events'],
  ['events', 'parked'],
  ['events', 'retry', '--all'],
  ['files', 'verify'],
  ['files', 'reconcile'],
  ['seed'],
] as const;
const ON_SCHEMA = [['doctor'], ['migrate', 'status'], ['migrate', 'down', '--yes']] as const;
/** Commands that may create what is missing. */
const CREATING = [['serve'], ['migrate', 'up'], ['migrate', 'reset', '--yes']] as const;
const EVERY = [...WITH_SERVICE, ...ON_SCHEMA, ...CREATING];
const WHAT_WHY_DO = /^\n?[A-Z].*[.:]?\n(?: {2}why: {2}\S.*\n)(?: {2}do: {3}\S.*\n)$/m;

let folder: string;
beforeEach(async () => {
  folder = await makeFolder();
});
afterEach(() => removeFolder(folder));

/** Runs the commands, and returns what each printed on standard error, by its name. */
async function errorsOf(
  commands: readonly (readonly string[])[],
  settings: Record<string, string> = {},
): Promise<Record<string, string>> {
  const errors: Record<string, string> = {};
  for (const command of commands) {
    const { code, stderr } = await runAtlas(folder, command, settings);
    errors[command.join(' ')] = code === 1 && WHAT_WHY_DO.test(stderr) ? stderr.trim() : `${code}: ${stderr}`;
  }
  return errors;
}

const each = (commands: readonly (readonly string[])[], matching: RegExp) =>
  Object.fromEntries(commands.map((command) => [command.join(' '), expect.stringMatching(matching)]));

/** Creates an empty database, or one with the tables of the script. */
async function databaseWith(script = ''): Promise<{ url: string; sql: postgres.Sql }> {
  const admin = postgres(await freshDatabase(), { max: 1 });
  const name = `obstacle_${process.pid}_${Math.random().toString(36).slice(2)}`;
  await admin.unsafe(`CREATE DATABASE ${name} TEMPLATE template0`);
  await admin.end();
  const url = Object.assign(new URL(await freshDatabase()), { pathname: `/${name}` }).href;
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  await sql.unsafe(script);
  return { url, sql };
}

const tablesOf = (sql: postgres.Sql) =>
  sql`SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`.then((rows) =>
    rows.map(({ tablename }) => tablename),
  );

describe('on a data folder that does not exist', () => {
  test(
    'every command but those that create it says so, and creates nothing',
    async () => {
      const commands = [...WITH_SERVICE, ...ON_SCHEMA];
      expect(await errorsOf(commands)).toEqual(
        each(
          commands,
          /^There is no embedded PostgreSQL in .* yet\.\n.*\n {2}do: {3}start Atlas with npm start/,
        ),
      );
      expect(await errorsOf([['status', '--once']])).toEqual(
        each([['status', '--once']], /^Atlas is not running/),
      );
      expect((await runAtlas(folder, ['config'])).code).toBe(0);
      // It writes below its working folder, where this one has no docs, and before that needs no database.
      expect(await errorsOf([['docs']])).toEqual(
        each([['docs']], /^A file or folder cannot be used\.\n.*docs/),
      );
      // Bun has its own folder in the home folder, and docs wrote .env.example.
      expect((await readdir(folder)).filter((name) => !name.startsWith('.'))).toEqual([]);
    },
    TIMEOUT_MS,
  );
});

describe('on a data folder that is a file', () => {
  test(
    'every command says what to do',
    async () => {
      await writeFile(join(folder, 'data'), '');
      expect(await errorsOf(EVERY)).toEqual(
        each(EVERY, /^The data folder \S+ cannot be used\.\n.*ENOTDIR.*\n {2}do: {3}move the file away/),
      );
      const connected = { DATABASE_URL: await freshDatabase() };
      expect(await errorsOf([['serve']], connected)).toEqual(
        each([['serve']], /^The data folder .* cannot be used/),
      );
      const { code, stdout } = await runAtlas(folder, ['doctor'], connected);
      expect({ code, stdout }).toMatchObject({
        code: 1,
        stdout: expect.stringMatching(/^! .*ENOTDIR.*Let the user/m),
      });
    },
    TIMEOUT_MS,
  );
});

describe.skipIf(!canUnshare())('on a data folder that is read-only', () => {
  test(
    'every command that writes there says what to do',
    async () => {
      await mkdir(join(folder, 'data'));
      const main = join(import.meta.dir, '../../src/main.ts');
      const run = async (
        args: readonly string[],
        settings: Record<string, string> = {},
      ): Promise<Finished> => {
        const script = 'mount --bind -o ro "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"';
        const words = ['unshare', '--mount', 'sh', '-c', script, join(folder, 'data')];
        const child = Bun.spawn([...words, process.execPath, main, ...args], {
          cwd: folder,
          env: { PATH: process.env.PATH, ATLAS_DATA_DIR: join(folder, 'data'), API_PORT: '0', ...settings },
          stdout: 'pipe',
          stderr: 'pipe',
        });
        const [stdout, stderr] = await Promise.all([
          new Response(child.stdout).text(),
          new Response(child.stderr).text(),
        ]);
        return { code: await child.exited, stdout, stderr };
      };
      const READ_ONLY =
        /The data folder \S+ cannot be used\.\n {2}why: {2}EROFS.*\n {2}do: {3}mount its file system/;
      for (const command of CREATING) {
        const { code, stderr } = await run(command);
        expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(READ_ONLY) });
      }
      const connected = { DATABASE_URL: await freshDatabase() };
      expect(await run(['serve'], connected)).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(READ_ONLY),
      });
      expect(await run(['doctor'], connected)).toMatchObject({
        code: 1,
        stdout: expect.stringMatching(/^! .*EROFS.* Let the user that runs Atlas write the folder/m),
      });
      expect(await run(['key', 'list'], connected)).toMatchObject({ code: 0 });
    },
    TIMEOUT_MS,
  );
});

describe('on a database', () => {
  test(
    'without migrations, every command that needs them says so, and doctor and migrate status show it',
    async () => {
      const { url, sql } = await databaseWith();
      const settings = { DATABASE_URL: url };
      expect(await errorsOf(WITH_SERVICE, settings)).toEqual(
        each(
          WITH_SERVICE,
          /^The database schema is out of date\.\n {2}why: {2}0 of the \d+ .*\n {2}do: {3}npm run migrate$/,
        ),
      );
      const doctor = await runAtlas(folder, ['doctor'], settings);
      expect(doctor).toMatchObject({
        code: 1,
        stdout: expect.stringContaining('The database schema is out of date.'),
      });
      expect((await runAtlas(folder, ['migrate', 'status'], settings)).stdout).toMatch(/^pending +1 keys$/m);
      expect(await tablesOf(sql)).toEqual([]);
      await sql.end();
    },
    TIMEOUT_MS,
  );

  test(
    'of another application, every command says so and changes nothing, whichever tables it has',
    async () => {
      const migrations = await databaseWith('CREATE TABLE schema_migrations (version text)');
      const settings = { DATABASE_URL: migrations.url };
      const FOREIGN =
        /^The database is used by something else\.\n {2}why: {2}its table schema_migrations was not/;
      expect(await errorsOf(EVERY, settings)).toEqual(each(EVERY, FOREIGN));
      expect(await tablesOf(migrations.sql)).toEqual(['schema_migrations']);
      await migrations.sql.end();

      const tables = await databaseWith('CREATE TABLE accounts (id int); CREATE TABLE transfers (id int)');
      expect(await errorsOf(CREATING, { DATABASE_URL: tables.url })).toEqual(
        each(
          CREATING,
          /^The database is used by something else\.\n.* Atlas did not create: accounts, transfers\n/,
        ),
      );
      expect(await tablesOf(tables.sql)).toEqual(['accounts', 'transfers']);
      await tables.sql.end();
    },
    TIMEOUT_MS,
  );

  test(
    'whose tables of Atlas are in another schema, a start names it instead of starting with nothing',
    async () => {
      const { url, sql } = await databaseWith('CREATE SCHEMA elsewhere');
      const inSchema = { DATABASE_URL: `${url}?search_path=elsewhere` };
      expect((await runAtlas(folder, ['migrate', 'up'], inSchema)).code).toBe(0);
      await sql`ALTER ROLE atlas IN DATABASE ${sql(new URL(url).pathname.slice(1))} SET search_path = elsewhere`;
      expect(await errorsOf(CREATING, { DATABASE_URL: url })).toEqual(
        each(
          CREATING,
          /^The tables of Atlas are in another schema\.\n.*elsewhere.*\n {2}do: {3}add \?search_path=elsewhere/,
        ),
      );
      expect((await runAtlas(folder, ['key', 'list'], inSchema)).code).toBe(0);

      await sql.unsafe('CREATE SCHEMA first; CREATE TABLE first.transfers (id int)');
      const hidden = { DATABASE_URL: `${url}?search_path=first,elsewhere` };
      expect(await errorsOf([['serve']], hidden)).toEqual(
        each(
          [['serve']],
          /^The database is used by something else\.\n.* tables of the same name: transfers\n/,
        ),
      );
      await sql.end();
    },
    TIMEOUT_MS,
  );

  test(
    'that a newer release migrated, commands work, doctor says so, and nothing is reverted',
    async () => {
      const url = await freshDatabase();
      const sql = postgres(url, { max: 1 });
      const next = (await readMigrations()).length + 1;
      await sql`INSERT INTO schema_migrations (number, name, checksum) VALUES (${next}, 'newer', '')`;
      await sql.end();
      const settings = { DATABASE_URL: url };
      expect((await runAtlas(folder, ['key', 'list'], settings)).code).toBe(0);
      const doctor = await runAtlas(folder, ['doctor'], settings);
      expect(doctor.stdout).toMatch(/^migrations +\d+ of \d+ +sql\/migrations +of a newer release$/m);
      expect(
        await errorsOf(
          [
            ['migrate', 'down', '--yes'],
            ['migrate', 'reset', '--yes'],
          ],
          settings,
        ),
      ).toEqual(
        each(
          [
            ['migrate', 'down', '--yes'],
            ['migrate', 'reset', '--yes'],
          ],
          /^Nothing was reverted\./,
        ),
      );
    },
    TIMEOUT_MS,
  );
});
