import type { Command } from 'commander';
import { appliedMigrations, readMigrations } from '../adapters/postgres/migrations.ts';
import { databaseErrorCode } from '../adapters/postgres/postgres.ts';
import { openRedis, pingRedis, untilReady } from '../adapters/redis/redis.ts';
import { migratesRequests } from '../cluster/migrate-requests.ts';
import { type Config, describeSettings, loadConfig, maskSecret, type SettingSource } from '../config.ts';
import type { Deps } from '../deps.ts';
import { createFeatures } from '../features.ts';
import { table } from './output.ts';
import { findRunning, type RunningReport, reportRunning } from './running-atlas.ts';
import { withDeps } from './session.ts';

/** A part of Atlas as the report shows it, what is wrong with it, and what could be better. */
interface Finding {
  readonly row: readonly [part: string, mode: string, where: string, guarantee: string];
  readonly problems?: readonly string[];
  readonly notes?: readonly string[];
}

const UNDEFINED_TABLE = '42P01';
// Longer than a successor of a relay that was killed needs.
const WAITING_SECONDS_MAX = 30;
const FILES_TIMEOUT_MS = 5000;

export function addDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('show the mode of each part, what it guarantees, and what is wrong')
    .action(async () => {
      const { config, sources } = loadConfig();
      const found = await findRunning(config);
      const running = reportRunning(config, found);
      const findings: Finding[] = await withDeps(async (deps) => [
        await examinePostgres(deps),
        await examineMigrations(deps),
        await examineLimits(config, running),
        examineWorkers(config, running),
        await examineEvents(deps, found.status !== null),
        await examineFiles(deps),
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

async function examinePostgres({ database, databaseMode, databaseUrl }: Deps): Promise<Finding> {
  const latencyMs = await database.ping();
  const [server] = await database.query(
    (sql) =>
      sql`SELECT current_setting('server_version') AS version, current_setting('synchronous_commit') AS durable, current_setting('fsync') AS fsync`,
  );
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

async function examineMigrations({ database }: Deps): Promise<Finding> {
  const applied = await appliedMigrations(database);
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

async function examineEvents(deps: Deps, isRunning: boolean): Promise<Finding> {
  const { config } = deps;
  const status = await createFeatures(deps).events.relay.status().catch(unlessNotMigrated);
  if (status === null)
    return { row: ['events', '–', 'table events', 'none before the database is migrated'] };
  const { unsent, oldestAgeSeconds, holder, parkedKeys } = status;
  const age = Math.round(oldestAgeSeconds ?? 0);
  const waiting = unsent === 0 ? 'nothing waits' : `${unsent} rows wait, the oldest for ${age} s`;
  const brokers = config.KAFKA_BROKERS.join(', ');
  const isKafka = brokers !== '';
  const where = `${isKafka ? `${brokers}, topic ${config.KAFKA_TOPIC_PREFIX}.events` : 'table events'}; ${waiting}`;
  const guarantee = isKafka
    ? 'sent at least once and in order for each key; consumers here have each effect once'
    : 'in order for each key; consumers here have each effect once; nobody outside of PostgreSQL reads them';
  const problems: string[] = [];
  if (parkedKeys > 0)
    problems.push(
      `${parkedKeys} keys stopped, as an event of each was refused. See: npm run -s atlas -- events parked`,
    );
  if (isRunning && age > WAITING_SECONDS_MAX) {
    const cause = isKafka ? `Check that Kafka answers at ${brokers}, and look` : 'Look';
    const who = holder === null ? 'nobody sends them' : `${holder} does not get on with them`;
    problems.push(`Events wait and ${who}. ${cause} for "events are not sent" in the log of Atlas.`);
  }
  return { row: ['events', isKafka ? 'PostgreSQL and Kafka' : 'PostgreSQL', where, guarantee], problems };
}

function unlessNotMigrated(error: unknown): null {
  if (databaseErrorCode(error) === UNDEFINED_TABLE) return null;
  throw error;
}

/** Lists what is never there: the answer tells whether the store can be reached and lets Atlas in. */
async function examineFiles({ config, objects }: Deps): Promise<Finding> {
  const { S3_ENDPOINT, S3_BUCKET, ATLAS_DATA_DIR } = config;
  const [mode, where, guarantee] =
    S3_ENDPOINT === undefined
      ? ['directory', `${ATLAS_DATA_DIR}/objects`, 'one host: as durable as its disk; backups are yours']
      : [
          'S3',
          `${S3_ENDPOINT}, bucket ${S3_BUCKET}`,
          'as your store gives; every chunk that is read is verified',
        ];
  try {
    await objects.list('doctor', AbortSignal.timeout(FILES_TIMEOUT_MS))[Symbol.asyncIterator]().next();
    return { row: ['files', mode, where, guarantee] };
  } catch (error) {
    const { message, cause } = error as Error;
    const why = cause instanceof Error ? `${message} (${cause.message})` : message;
    return {
      row: ['files', mode, where, 'none can be read or stored now; all else goes on'],
      problems: [`${why} Bring it back; where it never answered, check S3_ENDPOINT, S3_BUCKET and the keys.`],
    };
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
