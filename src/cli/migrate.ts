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
import { createFeatures } from '../features.ts';
import { seed } from './seed.ts';
import { withDeps } from './session.ts';

export function addMigrateCommand(program: Command): void {
  const migrate = program.command('migrate').description('bring the database schema up to date, or back');

  migrate
    .command('up', { isDefault: true })
    .description('apply what is missing')
    .action(() =>
      withDeps(async ({ database }) => {
        const applied = await migrateUp(database, await readMigrations());
        console.log(
          applied.length === 0
            ? 'Up to date.'
            : applied.map(({ number, name }) => `up    ${number} ${name}`).join('\n'),
        );
      }),
    );

  migrate
    .command('down')
    .description('take the newest migration back, with all data that its tables hold; not in production')
    .option('--yes', 'really delete that data')
    .action(({ yes }: { yes?: boolean }) =>
      withDeps(async ({ database, config }) => {
        refuseInProduction(config.ENVIRONMENT, 'taken back');
        if (!yes) {
          throw new Error(
            'Nothing was taken back.\n  why:  it deletes what the tables of the migration hold, such as all accounts\n  do:   add --yes (npm run migrate:down -- --yes) when you mean it',
          );
        }
        const undone = await migrateDown(database, await readMigrations());
        console.log(
          undone.map(({ number, name }) => `down  ${number} ${name}`).join('\n') || 'Nothing to take back.',
        );
      }),
    );

  migrate
    .command('reset')
    .description('drop everything, migrate and seed; not in production')
    .action(() =>
      withDeps(async (deps) => {
        refuseInProduction(deps.config.ENVIRONMENT, 'reset');
        const migrations = await readMigrations();
        await migrateDown(deps.database, migrations, migrations.length);
        await migrateUp(deps.database, migrations);
        await seed(createFeatures(deps).ledger);
        console.log(
          'The database is as new. API keys are gone too: npm run -s atlas -- key create --name NAME',
        );
      }),
    );

  migrate
    .command('status')
    .description('show what is applied')
    .action(() =>
      withDeps(async ({ database }) => {
        const applied = await appliedMigrations(database);
        for (const { number, name } of await readMigrations())
          console.log(`${number <= applied ? 'applied' : 'missing'}  ${number} ${name}`);
      }),
    );

  migrate
    .command('new')
    .description('create the files of a new migration')
    .argument('<name>', 'in small letters, such as add_webhooks')
    .action(async (name: string) => {
      if (!/^[a-z0-9_]+$/.test(name))
        throw new Error(
          `The name ${JSON.stringify(name)} cannot be used.\n  why:  it becomes part of a file name\n  do:   use small letters, digits and _`,
        );
      const number = String((await readMigrations()).length + 1).padStart(4, '0');
      for (const way of ['up', 'down']) {
        const file = join(MIGRATIONS_DIR, `${number}_${name}.${way}.sql`);
        await writeFile(file, '', { flag: 'wx' });
        console.log(file);
      }
    });
}

export function refuseInProduction(environment: string, what: string): void {
  if (environment === 'production')
    throw new Error(
      `A production database is not ${what} from here.\n  why:  ENVIRONMENT is production, and this deletes data\n  do:   restore a backup, or write a new migration`,
    );
}
