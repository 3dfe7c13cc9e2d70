import type { Command } from 'commander';
import { kafkaFault } from '../adapters/kafka/kafka-fault.ts';
import { reachKafka } from '../adapters/kafka/kafka-reach.ts';
import { readIsolation } from '../adapters/postgres/isolation.ts';
import { appliedMigrations, isMigrated, readMigrations } from '../adapters/postgres/migrations.ts';
import { databaseCause, databaseErrorCode } from '../adapters/postgres/postgres.ts';
import { reachRedis } from '../adapters/redis/redis.ts';
import { redisFault } from '../adapters/redis/redis-fault.ts';
import { migratesRequests } from '../cluster/migrate-requests.ts';
import {
  type Config,
  describeSettings,
  loadConfig,
  maskSecret,
  maskUrl,
  type SettingSource,
} from '../config.ts';
import { type Deps, kafkaAccess, redisOptions } from '../deps.ts';
import { createFeatures, type Features } from '../features.ts';
import { describeUnknown } from '../utils/unknown-settings.ts';
import { examineAudit } from './doctor-audit.ts';
import { notesOnClients } from './doctor-clients.ts';
import { examineMail } from './doctor-mail.ts';
import { type DoctorReport, doctorText, type Finding, failedReport } from './doctor-report.ts';
import { examineSecrets } from './doctor-secrets.ts';
import { isOverdue } from './events.ts';
import { plural } from './output.ts';
import { findRunning, type RunningReport, reportRunning } from './running-atlas.ts';
import { withDeps } from './session.ts';

const UNDEFINED = ['42P01', '42703'];
// Longer than another relay needs to take over from one that was killed.
const BACKLOG_SECONDS_MAX = 30;
const KAFKA_TIMEOUT_MS = 5000;
const FILES_TIMEOUT_MS = 5000;

export function addDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('show how each part runs, what it guarantees, and any problems')
    .option('--json', 'print as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const report = await (json ? examine().catch(failedReport) : examine());
      if (!report.ok) process.exitCode = 1;
      console.log(json ? JSON.stringify(report, null, 2) : doctorText(report));
    });
}

/** Examines every part. Throws if PostgreSQL cannot be used. */
async function examine(): Promise<DoctorReport> {
  const { config, sources, unknown } = loadConfig();
  const found = await findRunning(config);
  const running = reportRunning(config, found);
  const findings: Finding[] = await withDeps(async (deps) => {
    const features = createFeatures(deps);
    return [
      await examinePostgres(deps),
      await examineMigrations(deps),
      await examineIsolation(deps),
      await examineLimits(config, running),
      examineWorkers(config, running),
      await examineEvents(config, features, found.status !== null),
      await examineFiles(deps),
      await examineMail(deps),
      ...(await examineSecrets(deps, features).then((finding) => [finding], noneIfNotMigrated)),
      ...(await examineAudit(config, features).then((finding) => [finding], noneIfNotMigrated)),
    ];
  });
  const problems = [
    ...running.problems,
    ...findings.flatMap((finding) => finding.problems ?? []),
    ...unknown.map(describeUnknown),
  ];
  const notes = [
    ...running.notes,
    ...findings.flatMap((finding) => finding.notes ?? []),
    ...notesOnClients(config),
    ...unusedSettings(sources),
  ];
  const { status } = found;
  const { workers, cap } = running;
  return {
    ok: problems.length === 0,
    running: status && { port: status.port, supervisor: status.pid, workers, cap },
    summary: running.heading,
    parts: findings.map(({ row: [part, mode, where, guarantee] }) => ({ part, mode, where, guarantee })),
    problems,
    notes,
  };
}

async function examinePostgres({
  database,
  databaseMode,
  databaseUrl,
  ignoredParameters,
}: Deps): Promise<Finding> {
  const latencyMs = await database.ping();
  const [server] = await database.query(
    (sql) =>
      sql`SELECT current_setting('server_version') AS version, current_setting('synchronous_commit') AS durable, current_setting('fsync') AS fsync`,
  );
  const where = `${maskSecret(databaseUrl)} (${server!.version}, ${latencyMs.toFixed(1)} ms)`;
  const guarantee =
    databaseMode === 'embedded'
      ? 'one host, no replica or failover; back it up yourself'
      : 'as configured on your server';
  const isLossy = server!.durable === 'off' || server!.fsync === 'off';
  return {
    row: ['PostgreSQL', databaseMode, where, guarantee],
    notes: ignoredParameters.map(
      ({ name, why, remedy }) => `${name} in DATABASE_URL has no effect, because ${why}; ${remedy}.`,
    ),
    ...(isLossy && {
      problems: [
        'PostgreSQL may lose acknowledged transfers: synchronous_commit or fsync is off. Turn both on.',
      ],
    }),
  };
}

async function examineMigrations({ database }: Deps): Promise<Finding> {
  const applied = await appliedMigrations(database);
  const total = (await readMigrations()).length;
  const isBehind = !(await isMigrated(database));
  const state = isBehind ? 'out of date' : applied > total ? 'of a newer release' : 'up to date';
  return {
    row: ['migrations', `${applied} of ${total}`, 'sql/migrations', state],
    ...(isBehind && { problems: ['The database schema is out of date. Run: npm run migrate'] }),
  };
}

async function examineIsolation({ database }: Deps): Promise<Finding> {
  const state = await readIsolation(database).catch(nullIfNotMigrated);
  const part = (mode: string, guarantee: string): Finding['row'] => [
    'organizations',
    mode,
    'ISOLATION',
    guarantee,
  ];
  if (state === null) return { row: part('–', 'none until the database is migrated') };
  const isolated = part('isolated', 'each sees only its accounts and transfers');
  if (state.isOn && !state.hasFormerHosts) return { row: isolated };
  if (state.isOn)
    return {
      row: isolated,
      problems: [
        'A host of a release before isolation is running, and shows all accounts to everybody. Stop it, or replace it with this release.',
      ],
    };
  const remedy = state.hasFormerHosts
    ? 'once no host of a release before isolation runs; one does now'
    : 'now, as no host of a release before isolation is known to run';
  return {
    row: part('not isolated', 'every key with the scope sees all accounts and transfers'),
    notes: [`Organizations are not isolated. To isolate them, start Atlas with ISOLATION=on ${remedy}.`],
  };
}

async function examineLimits(config: Config, running: RunningReport): Promise<Finding> {
  const cap = `${running.cap} in flight`;
  if (!running.usesRedis) {
    const guarantee = 'one host; each worker has a fixed share of the cap';
    return { row: ['limits', 'static shares', `${cap}, ${plural(running.workers, 'worker')}`, guarantee] };
  }
  const shared = 'the cap holds across all workers and hosts with this prefix';
  // The running Atlas was started with a REDIS_URL that this shell does not have.
  if (config.REDIS_URL === undefined) return { row: ['limits', 'shared through Redis', cap, shared] };
  const where = `${cap}, ${maskSecret(config.REDIS_URL)}`;
  try {
    const latencyMs = await reachRedis(redisOptions(config, config.REDIS_URL));
    return { row: ['limits', 'shared through Redis', `${where} (${latencyMs.toFixed(1)} ms)`, shared] };
  } catch (error) {
    const unavailable = `Redis is unavailable (${(error as Error).message}). Start it again, or check REDIS_URL.`;
    return {
      row: ['limits', 'cut off', where, 'each worker falls back to a fixed share of the cap'],
      problems: [redisFault(error) ?? unavailable],
    };
  }
}

async function examineEvents(config: Config, { events }: Features, isRunning: boolean): Promise<Finding> {
  const status = await events.relay.status().catch(nullIfNotMigrated);
  if (status === null) return { row: ['events', '–', 'events table', 'none until the database is migrated'] };
  const { unsent, oldestAgeSeconds, holder, parkedKeys } = status;
  const age = Math.round(oldestAgeSeconds ?? 0);
  const backlog = unsent === 0 ? 'no backlog' : `${plural(unsent, 'row')} waiting, the oldest for ${age} s`;
  const brokers = config.KAFKA_BROKERS.join(', ');
  const isKafka = brokers !== '';
  const where = `${isKafka ? `${brokers}, topic ${config.KAFKA_TOPIC_PREFIX}.events` : 'events table'}; ${backlog}`;
  const guarantee = isKafka
    ? 'sent at least once, in order per key; built-in consumers apply each event once'
    : 'in order per key; built-in consumers apply each event once; events stay in PostgreSQL until they expire';
  const problems: string[] = isKafka ? await kafkaFaults(config) : [];
  if (parkedKeys > 0)
    problems.push(
      `Parked keys: ${parkedKeys}. An event of each was rejected. List them with: npm run -s atlas -- events parked`,
    );
  if (isRunning && isOverdue(status))
    problems.push(
      `Events are stored past EVENTS_RETENTION_DAYS, because ${status.oldestUnreadBy ?? 'no consumer'} has not read them. See: npm run -s atlas -- events`,
    );
  if (isRunning && age > BACKLOG_SECONDS_MAX) {
    const cause = holder === null ? 'no relay is running' : `the relay ${holder} is stuck`;
    const remedy = isKafka ? `Check that Kafka is reachable at ${brokers}, and search` : 'Search';
    problems.push(`Events are waiting: ${cause}. ${remedy} the Atlas log for "events are not being sent".`);
  }
  return { row: ['events', isKafka ? 'PostgreSQL and Kafka' : 'PostgreSQL', where, guarantee], problems };
}

/** What must change before Kafka accepts these settings. That it is unavailable is for the running Atlas to report. */
function kafkaFaults(config: Config): Promise<string[]> {
  return reachKafka(kafkaAccess(config), KAFKA_TIMEOUT_MS).then(
    () => [],
    (error: unknown) => {
      const fault = kafkaFault(error);
      return fault === null ? [] : [fault];
    },
  );
}

function noneIfNotMigrated(error: unknown): [] {
  nullIfNotMigrated(error);
  return [];
}

function nullIfNotMigrated(error: unknown): null {
  if (UNDEFINED.includes(databaseErrorCode(databaseCause(error)))) return null;
  throw error;
}

/** Lists a prefix that is always empty, which shows whether the store is reachable and grants access. */
async function examineFiles({ config, objects }: Deps): Promise<Finding> {
  const { S3_ENDPOINT, S3_BUCKET, ATLAS_DATA_DIR } = config;
  const [mode, where, guarantee] =
    S3_ENDPOINT === undefined
      ? ['directory', `${ATLAS_DATA_DIR}/objects`, 'one host, as durable as its disk; back it up yourself']
      : [
          'S3',
          `${maskUrl(S3_ENDPOINT)}, bucket ${S3_BUCKET}`,
          'as durable as your store; every chunk is verified when read',
        ];
  const remedy =
    S3_ENDPOINT === undefined
      ? 'Let the user that runs Atlas write the folder, and check its disk.'
      : 'Start it again, or check S3_ENDPOINT, S3_BUCKET, and the keys.';
  try {
    await objects.check?.();
    await objects.list('doctor', AbortSignal.timeout(FILES_TIMEOUT_MS))[Symbol.asyncIterator]().next();
    return { row: ['files', mode, where, guarantee] };
  } catch (error) {
    const { message, cause } = error as Error;
    const why = cause instanceof Error ? `${message} (${cause.message})` : message;
    return {
      row: ['files', mode, where, 'no file content can be read or stored; everything else works'],
      problems: [`${why} ${remedy}`],
    };
  }
}

function examineWorkers(config: Config, { workers }: RunningReport): Finding {
  const isResetting = migratesRequests() === false;
  const guarantee = isResetting
    ? 'replacing a worker may reset connections'
    : 'replacing a worker loses no request it has read';
  return {
    row: [
      'workers',
      `${workers} ${workers === 1 ? 'process' : 'processes'}`,
      `port ${config.API_PORT}${config.ADMIN_PORT === undefined ? '' : `, for operators ${config.ADMIN_PORT}`}`,
      guarantee,
    ],
    ...(isResetting && {
      notes: [
        'Replacing a worker resets the connections waiting for it. To avoid that, run: sysctl -w net.ipv4.tcp_migrate_req=1',
      ],
    }),
  };
}

function unusedSettings(sources: Readonly<Record<string, SettingSource>>): string[] {
  return describeSettings()
    .filter(({ name, unused }) => unused && sources[name] !== 'default')
    .map(({ name }) => `${name} is set but not used yet.`);
}
