import { closeSync, openSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Command } from 'commander';
import { migrateUp, readMigrations } from '../adapters/postgres/migrations.ts';
import { ClusterScrape } from '../cluster/cluster-scrape.ts';
import { WORKER_ENVIRONMENT } from '../cluster/messages.ts';
import { migrateRequests } from '../cluster/migrate-requests.ts';
import { serveStatus, statusOf, statusSocketPath } from '../cluster/status-socket.ts';
import { Supervisor } from '../cluster/supervisor.ts';
import { takePort } from '../cluster/take-port.ts';
import { DRAIN_MS } from '../cluster/worker.ts';
import { writeWorkerRecord } from '../cluster/worker-record.ts';
import { type Config, environmentOf, loadConfig } from '../config.ts';
import { type Deps, openDeps, workersOf } from '../deps.ts';
import type { KeyService } from '../features/identity/keys/service.ts';
import { ALL_SCOPES, createFeatures } from '../features.ts';
import { createClusterMetrics } from '../instrumentation/cluster-metrics.ts';
import { createLogger, type Logger } from '../instrumentation/logger.ts';
import { fail } from './output.ts';
import { seed } from './seed.ts';
import { startupBanner } from './startup-banner.ts';

// The supervisor itself asks the database only at the start.
const SUPERVISOR_CONNECTIONS = 2;
// What a worker may need beyond its requests to close everything.
const CLOSE_MS = 5000;
// One order to stop can come as several signals: to the whole group, and passed on by whoever started this.
const SECOND_SIGNAL_MS = 1000;
const CLOSE_AT_ONCE_MS = 1000;
// EX_TEMPFAIL of sysexits.h: the launcher starts anew what ends with it, unlike what could not start.
const FAILED_WHILE_SERVING = 75;

export function addServeCommand(program: Command): void {
  program
    .command('serve', { isDefault: true })
    .description('start everything and serve the API')
    .action(serve);
}

/** Prepares the database, starts the workers and keeps them; nothing is announced before all of them serve. */
async function serve(): Promise<void> {
  const { config } = loadConfig();
  const logger = createLogger(config);
  const onProgress = (text: string) => void process.stderr.write(`Atlas: ${text} …\n`);
  const deps = await openDeps(config, logger, { onProgress, connectionsMax: SUPERVISOR_CONNECTIONS });
  const closing: (() => Promise<void>)[] = [deps.close];
  try {
    await migrateUp(deps.database, await readMigrations());
    const { identity, ledger } = createFeatures(deps);
    const { accounts } = await ledger.accounts.list(null, 1);
    if (accounts.length === 0 && config.ENVIRONMENT !== 'production') await seed(ledger);
    const { port, release } = await takePort(config.API_HOST, config.API_PORT, config.ATLAS_DATA_DIR);
    closing.push(async () => release());
    migrateRequests();
    const supervisor = createSupervisor(config, logger, deps, port, closing);
    stopOnSignal(supervisor, logger, closing);
    serveStats(supervisor, config, logger, port, closing);
    if (!(await supervisor.start())) return;
    // Last, so that a start that fails does not make a key that nobody sees.
    const token = await createFirstKey(identity.keys, config);
    rollOnHangUp(supervisor, logger);
    // The driver tells nobody when a cancel finds no server; it must not reach the terminal past the logger.
    process.on('unhandledRejection', (err) => logger.warn({ err }, 'a failure that nobody waited for'));
    process.on('exit', askForRestart);
    const modes = supervisor.incarnations.flatMap(({ status }) => status?.mode ?? []);
    // Whoever reads it may send a signal at once. The key goes to the terminal here, and never through the logger.
    process.stdout.write(startupBanner({ config, databaseMode: deps.databaseMode, port, token, modes }));
  } catch (error) {
    await closeAll(closing);
    throw error;
  }
}

function createSupervisor(
  config: Config,
  logger: Logger,
  { databaseMode, databaseUrl }: Deps,
  port: number,
  closing: (() => Promise<void>)[],
): Supervisor {
  const workers = workersOf(config);
  const requestMaxMs = (config.HTTP_TIMEOUT + config.DATABASE_TIMEOUT) * 1000;
  const idPrefix = `${hostname()}-${process.pid}-${Date.now().toString(36)}`;
  return new Supervisor({
    workers,
    idPrefix,
    start: {
      command: [process.execPath, Bun.main, 'worker'],
      environment: {
        ...process.env,
        // Every worker of this supervisor serves with what it was started with, also when `.env` is edited meanwhile.
        ...environmentOf(config),
        API_PORT: String(port),
        DATABASE_URL: databaseUrl,
        [WORKER_ENVIRONMENT.workers]: String(workers),
        [WORKER_ENVIRONMENT.databaseMode]: databaseMode,
      },
    },
    cap: config.LOAD_SHEDDING_MAX_CONCURRENT,
    // Leases of Redis are what limits a worker where there is one.
    capBounded: config.REDIS_URL === undefined,
    drainMaxMs: DRAIN_MS + requestMaxMs + CLOSE_MS,
    logger,
    onProcesses: recordProcesses(config, logger, port, idPrefix),
    onCrashLoop: (error) => void closeAll(closing).then(() => fail(error)),
  });
}

/** Keeps a list of the workers for the next start, which ends those that outlive this supervisor and keep the port. */
function recordProcesses(
  { ATLAS_DATA_DIR }: Config,
  logger: Logger,
  port: number,
  idPrefix: string,
): (pids: readonly number[]) => void {
  let hasFailed = false;
  return (workers) => {
    try {
      writeWorkerRecord(ATLAS_DATA_DIR, port, { supervisor: process.pid, idPrefix, workers });
    } catch (err) {
      if (!hasFailed) logger.warn({ err }, 'the workers cannot be written down for the next start');
      hasFailed = true;
    }
  };
}

/** What the supervisor tells: metrics to its workers, its status to `atlas status`. */
function serveStats(
  supervisor: Supervisor,
  config: Config,
  logger: Logger,
  port: number,
  closing: (() => Promise<void>)[],
): void {
  const metrics = createClusterMetrics(() => ({
    restarts: supervisor.restarts,
    workers: supervisor.incarnations.map(({ slot, state, status }) => ({
      slot,
      state,
      inFlight: status?.inFlight ?? 0,
      limit: status?.limit ?? 0,
      loopDelayMs: status?.loopDelayMs ?? 0,
      rssBytes: status?.rssBytes ?? 0,
    })),
  }));
  new ClusterScrape(supervisor, metrics);
  try {
    const path = statusSocketPath(config.ATLAS_DATA_DIR, port);
    const { API_HOST: host, LOAD_SHEDDING_MAX_CONCURRENT: cap } = config;
    const read = () => statusOf(supervisor, { host, port, cap });
    const socket = serveStatus(path, config.ATLAS_DATA_DIR, read);
    closing.unshift(socket.close);
  } catch (err) {
    logger.warn({ err }, 'atlas status will not work');
  }
}

/** Lets all workers finish what they have, then ends what was started. A second order ends everything at once. */
function stopOnSignal(supervisor: Supervisor, logger: Logger, closing: (() => Promise<void>)[]): void {
  let orderedMs: number | null = null;
  const stop = async (signal: string) => {
    if (orderedMs !== null) {
      if (performance.now() - orderedMs < SECOND_SIGNAL_MS) return;
      logger.warn({ signal }, 'ending at once, without what is in flight');
      supervisor.kill();
      await Promise.race([closeAll(closing), Bun.sleep(CLOSE_AT_ONCE_MS)]);
      process.exit(1);
    }
    orderedMs = performance.now();
    process.off('exit', askForRestart);
    logger.info({ signal }, 'finishing what is in flight');
    await supervisor.stop();
    await closeAll(closing).catch((err: unknown) => logger.warn({ err }, 'not everything could be closed'));
    logger.info('stopped');
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => void stop(signal));
  // A terminal that is closed sends the same signal as an operator who wants fresh workers.
  const inTerminal = process.stdin.isTTY || process.stdout.isTTY;
  process.on('SIGHUP', () => inTerminal && !hasTerminal() && void stop('SIGHUP'));
}

/** Says by the exit code that a server has failed which had started: another start may help. */
function askForRestart(code: number): void {
  if (code === 1) process.exit(FAILED_WHILE_SERVING);
}

function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}

function rollOnHangUp(supervisor: Supervisor, logger: Logger): void {
  process.on('SIGHUP', () => {
    // Elsewhere two listeners on one port do not share what comes in.
    if (process.platform === 'linux') void supervisor.roll();
    else logger.warn('workers are replaced one by one on Linux only; restart Atlas instead');
  });
}

async function closeAll(closing: readonly (() => Promise<void>)[]): Promise<void> {
  for (const close of closing) await close();
}

/** The owner's key of a new installation. In production it is made only where a person can see it. */
async function createFirstKey(keys: KeyService, config: Config): Promise<string | null> {
  const visible = config.ENVIRONMENT !== 'production' || process.stdout.isTTY;
  if (!visible || !(await keys.isEmpty())) return null;
  const { token } = await keys.create({
    owner: 'owner',
    name: 'first key',
    scopes: ALL_SCOPES,
    expiresAt: null,
  });
  return token;
}
