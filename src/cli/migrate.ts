import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import {
  appliedMigrations,
  MIGRATIONS_DIR,
  migrateDown,
  migrateUp,
  readMigrations,
} from '../adapters/postgres/migrations.ts';
import { installedFunctions, readSqlFunctions } from '../adapters/postgres/sql-functions.ts';
import { listStatuses } from '../cluster/status-socket.ts';
import { loadConfig } from '../config.ts';
import type { Deps } from '../deps.ts';
import { createFeatures } from '../features.ts';
import { seed } from './seed.ts';
import { withDeps } from './session.ts';

// Only these may create an embedded server: every other command needs what is in it.
const CREATE = { create: true } as const;

export function addMigrateCommand(program: Command): void {
  const migrate = program.command('migrate').description('migrate the database schema up or down');
  addUpCommand(migrate);
  addDownCommand(migrate);
  addResetCommand(migrate);
  addStatusCommand(migrate);
  addNewCommand(migrate);
}

function addUpCommand(migrate: Command): void {
  migrate
    .command('up', { isDefault: true })
    .description('apply all pending migrations')
    .action(() =>
      withDeps(async ({ database }) => {
        const { migrations, functions } = await migrateUp(database, await readMigrations());
        const lines = [
          ...migrations.map(({ number, name }) => `up    ${number} ${name}`),
          ...functions.map(({ number, name }) => `up    function ${name} (${number})`),
        ];
        console.log(lines.join('\n') || 'Up to date.');
      }, CREATE),
    );
}

function addDownCommand(migrate: Command): void {
  migrate
    .command('down')
    .description('revert the newest migration and delete the data in its tables; not in production')
    .option('--yes', 'confirm that the data may be deleted')
    .action(({ yes }: { yes?: boolean }) =>
      withDeps(async ({ database, config }) => {
        refuseInProduction(config.ENVIRONMENT, 'reverted');
        if (!yes) {
          throw new Error(
            'Nothing was reverted.\n  why:  reverting a migration deletes the data in its tables, such as all accounts\n  do:   to confirm, add --yes: npm run migrate:down -- --yes',
          );
        }
        await refuseWhileRunning(config.ATLAS_DATA_DIR, 'reverted');
        const reverted = await migrateDown(database, await readMigrations());
        console.log(
          reverted.map(({ number, name }) => `down  ${number} ${name}`).join('\n') || 'Nothing to revert.',
        );
      }),
    );
}

function addResetCommand(migrate: Command): void {
  migrate
    .command('reset')
    .description('drop everything, migrate, and seed; not in production')
    .option('--yes', 'confirm that all data and API keys may be deleted')
    .action(async ({ yes }: { yes?: boolean }) => {
      // Before anything is opened, so that a command that only refuses creates no server.
      refuseInProduction(loadConfig().config.ENVIRONMENT, 'reset');
      if (!yes) {
        throw new Error(
          'Nothing was reset.\n  why:  a reset deletes all data, and all API keys\n  do:   to confirm, add --yes: npm run db:reset -- --yes',
        );
      }
      await withDeps(reset, CREATE);
    });
}

async function reset(deps: Deps): Promise<void> {
  await refuseWhileRunning(deps.config.ATLAS_DATA_DIR, 'reset');
  const migrations = await readMigrations();
  await migrateDown(deps.database, migrations, migrations.length);
  await migrateUp(deps.database, migrations);
  await seed(createFeatures(deps));
  console.log(
    'The database was reset. API keys are gone too; create one with: npm run -s atlas -- key create --name NAME',
  );
}

function addStatusCommand(migrate: Command): void {
  migrate
    .command('status')
    .description('show which migrations and SQL functions are applied')
    .action(() =>
      withDeps(async ({ database }) => {
        const applied = await appliedMigrations(database);
        for (const { number, name } of await readMigrations())
          console.log(`${number <= applied ? 'applied' : 'pending'}  ${number} ${name}`);
        const installed = await installedFunctions(database);
        for (const { number, name } of await readSqlFunctions()) {
          const found = installed.get(name)?.number ?? 0;
          console.log(
            `${found >= number ? 'applied' : 'pending'}  function ${name} (${Math.max(found, number)})`,
          );
        }
      }),
    );
}

function addNewCommand(migrate: Command): void {
  migrate
    .command('new')
    .description('create the files of a new migration')
    .argument('<name>', 'name in lowercase, such as add_webhooks')
    .action(async (name: string) => {
      if (!/^[a-z0-9_]+$/.test(name))
        throw new Error(
          `Invalid migration name: ${JSON.stringify(name)}\n  why:  it becomes part of a file name\n  do:   use lowercase letters, digits, and _`,
        );
      const number = String((await readMigrations()).length + 1).padStart(4, '0');
      for (const direction of ['up', 'down']) {
        const file = join(MIGRATIONS_DIR, `${number}_${name}.${direction}.sql`);
        await writeFile(file, '', { flag: 'wx' });
        console.log(file);
      }
    });
}

function refuseInProduction(environment: string, what: 'reverted' | 'reset'): void {
  if (environment === 'production')
    throw new Error(
      `A production database cannot be ${what} with this command.\n  why:  ENVIRONMENT is production, and this deletes data\n  do:   restore a backup, or write a new migration`,
    );
}

/** Refuses, because a running Atlas would go on with the old folder of the files, and lose what it stores there. */
async function refuseWhileRunning(dataDir: string, what: 'reverted' | 'reset'): Promise<void> {
  const [running] = await listStatuses(dataDir);
  if (running !== undefined)
    throw new Error(
      `Nothing was ${what}.\n  why:  Atlas is running on port ${running.port} (supervisor pid ${running.pid}), and would not notice\n  do:   stop it, and every other Atlas on this database, then repeat the command`,
    );
}
