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
    .action(() =>
      withDeps(async (deps) => {
        refuseInProduction(deps.config.ENVIRONMENT, 'reset');
        const migrations = await readMigrations();
        await migrateDown(deps.database, migrations, migrations.length);
        await migrateUp(deps.database, migrations);
        await seed(createFeatures(deps));
        console.log(
          'The database was reset. API keys are gone too; create one with: npm run -s atlas -- key create --name NAME',
        );
      }, CREATE),
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
