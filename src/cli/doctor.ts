import type { Command } from 'commander';
import { appliedMigrations, readMigrations } from '../adapters/migrations.ts';
import { pingPostgres } from '../adapters/postgres.ts';
import { describeSettings, loadConfig, maskSecret } from '../config.ts';
import { table } from './output.ts';
import { withDeps } from './session.ts';

export function addDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('show the mode of each part, what it guarantees, and what is wrong')
    .action(async () => {
      const { config, sources } = loadConfig();
      const problems = await withDeps(async ({ sql, databaseMode, databaseUrl }) => {
        const latencyMs = await pingPostgres(sql);
        const [server] =
          await sql`SELECT current_setting('server_version') AS version, current_setting('synchronous_commit') AS durable, current_setting('fsync') AS fsync`;
        const applied = await appliedMigrations(sql);
        const known = (await readMigrations()).length;
        const note =
          databaseMode === 'embedded'
            ? 'one host: no replica, no failover; backups are yours'
            : 'as your server gives';
        console.log(
          table(
            ['part', 'mode', 'where', 'guarantee'],
            [
              [
                'PostgreSQL',
                databaseMode,
                `${maskSecret(databaseUrl)} (${server!.version}, ${latencyMs.toFixed(1)} ms)`,
                note,
              ],
              [
                'limits',
                'this process',
                `${config.LOAD_SHEDDING_MAX_CONCURRENT} in flight`,
                'each process counts for itself',
              ],
              ['events', 'outbox', 'table outbox', 'written with every transfer, not sent on yet'],
              [
                'migrations',
                `${applied} of ${known}`,
                'sql/migrations',
                applied >= known ? 'up to date' : 'behind',
              ],
            ],
          ),
        );
        const found: string[] = [];
        if (applied < known) found.push('The database is behind. Run: npm run migrate');
        if (server!.durable === 'off' || server!.fsync === 'off')
          found.push(
            'PostgreSQL may lose acknowledged transfers: synchronous_commit or fsync is off. Turn both on.',
          );
        if (found.length > 0) process.exitCode = 1;
        return found;
      });
      for (const { name, unused } of describeSettings()) {
        if (unused && sources[name] !== 'default')
          problems.push(`${name} is set, but this version does not use it yet.`);
      }
      console.log(
        problems.length === 0
          ? '\nNothing is wrong.'
          : `\n${problems.map((problem) => `! ${problem}`).join('\n')}`,
      );
    });
}
