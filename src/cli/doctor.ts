import type { Command } from 'commander';
import { appliedMigrations, readMigrations } from '../adapters/migrations.ts';
import { pingPostgres } from '../adapters/postgres.ts';
import { openRedis, pingRedis, untilReady } from '../adapters/redis.ts';
import { migratesRequests } from '../cluster/migrate-requests.ts';
import { type Config, describeSettings, loadConfig, maskSecret, type SettingSource } from '../config.ts';
import type { Deps } from '../deps.ts';
import { table } from './output.ts';
import { findRunning, type RunningReport, reportRunning } from './running-atlas.ts';
import { withDeps } from './session.ts';

/** A part of Atlas as the report shows it, what is wrong with it, and what could be better. */
interface Finding {
  readonly row: readonly [part: string, mode: string, where: string, guarantee: string];
  readonly problems?: readonly string[];
  readonly notes?: readonly string[];
}

export function addDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('show the mode of each part, what it guarantees, and what is wrong')
    .action(async () => {
      const { config, sources } = loadConfig();
      const running = reportRunning(config, await findRunning(config));
      const findings: Finding[] = await withDeps(async (deps) => [
        await examinePostgres(deps),
        await examineMigrations(deps),
        await examineLimits(config, running),
        examineWorkers(config, running),
        { row: ['events', 'outbox', 'table outbox', 'written with every transfer, not sent on yet'] },
      ]);
      console.log(`${running.heading}\n`);
      console.log(
        table(
          ['part', 'mode', 'where', 'guarantee'],
          findings.map(({ row }) => row),
        ),
      );
      const problems = [...running.problems, ...findings.flatMap((finding) => finding.problems ?? [])];
      const notes = [
        ...running.notes,
        ...findings.flatMap((finding) => finding.notes ?? []),
        ...unusedSettings(sources),
      ];
      if (problems.length > 0) process.exitCode = 1;
      const lines = problems.length > 0 ? problems.map((problem) => `! ${problem}`) : ['Nothing is wrong.'];
      console.log(`\n${[...lines, ...notes.map((note) => `- ${note}`)].join('\n')}`);
    });
}

async function examinePostgres({ sql, databaseMode, databaseUrl }: Deps): Promise<Finding> {
  const latencyMs = await pingPostgres(sql);
  const [server] =
    await sql`SELECT current_setting('server_version') AS version, current_setting('synchronous_commit') AS durable, current_setting('fsync') AS fsync`;
  const where = `${maskSecret(databaseUrl)} (${server!.version}, ${latencyMs.toFixed(1)} ms)`;
  const guarantee =
    databaseMode === 'embedded'
      ? 'one host: no replica, no failover; backups are yours'
      : 'as your server gives';
  const loses = server!.durable === 'off' || server!.fsync === 'off';
  return {
    row: ['PostgreSQL', databaseMode, where, guarantee],
    ...(loses && {
      problems: [
        'PostgreSQL may lose acknowledged transfers: synchronous_commit or fsync is off. Turn both on.',
      ],
    }),
  };
}

async function examineMigrations({ sql }: Deps): Promise<Finding> {
  const applied = await appliedMigrations(sql);
  const known = (await readMigrations()).length;
  const isBehind = applied < known;
  return {
    row: ['migrations', `${applied} of ${known}`, 'sql/migrations', isBehind ? 'behind' : 'up to date'],
    ...(isBehind && { problems: ['The database is behind. Run: npm run migrate'] }),
  };
}

async function examineLimits(config: Config, running: RunningReport): Promise<Finding> {
  const cap = `${running.cap} in flight`;
  if (!running.usesRedis) {
    const guarantee = 'one host; each worker has a fixed share, whatever the others need';
    return { row: ['limits', 'static shares', `${cap}, ${running.workers} workers`, guarantee] };
  }
  const shared = 'the cap holds over all workers and hosts with this prefix';
  // What runs was started with a Redis that this shell does not know.
  if (config.REDIS_URL === undefined) return { row: ['limits', 'shared over Redis', cap, shared] };
  const where = `${cap}, ${maskSecret(config.REDIS_URL)}`;
  const timeoutMs = config.REDIS_TIMEOUT * 1000;
  const redis = openRedis({ url: config.REDIS_URL, timeoutMs });
  try {
    await untilReady(redis, timeoutMs);
    const latencyMs = await pingRedis(redis);
    return { row: ['limits', 'shared over Redis', `${where} (${latencyMs.toFixed(1)} ms)`, shared] };
  } catch (error) {
    return {
      row: ['limits', 'cut off', where, 'each worker keeps to its part of the cap by itself'],
      problems: [
        `Redis does not answer (${(error as Error).message}). Bring it back; where it never answered, check REDIS_URL.`,
      ],
    };
  } finally {
    redis.disconnect();
  }
}

function examineWorkers(config: Config, { workers }: RunningReport): Finding {
  const isResetting = migratesRequests() === false;
  const guarantee = isResetting
    ? 'replacing one may reset a connection'
    : 'replacing one loses no request that was read';
  return {
    row: ['workers', `${workers} processes`, `port ${config.API_PORT}`, guarantee],
    ...(isResetting && {
      notes: [
        'A worker that is replaced resets connections that wait for it. To avoid that: sysctl -w net.ipv4.tcp_migrate_req=1',
      ],
    }),
  };
}

function unusedSettings(sources: Readonly<Record<string, SettingSource>>): string[] {
  return describeSettings()
    .filter(({ name, unused }) => unused && sources[name] !== 'default')
    .map(({ name }) => `${name} is set, but this version does not use it yet.`);
}
