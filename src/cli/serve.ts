import { closeSync, openSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Command } from 'commander';
import { migrateUp, readMigrations } from '../adapters/postgres/migrations.ts';
import { switchIsolation } from '../adapters/postgres/switch-isolation.ts';
import { ClusterScrape } from '../cluster/cluster-scrape.ts';
import { removeCommitSockets } from '../cluster/commit-socket.ts';
import { WORKER_ENVIRONMENT } from '../cluster/messages.ts';
import { migrateRequests } from '../cluster/migrate-requests.ts';
import { serveStatus, statusOf, statusSocketPath } from '../cluster/status-socket.ts';
import { Supervisor } from '../cluster/supervisor.ts';
import { takeAdminPort, takePort } from '../cluster/take-port.ts';
import { DRAIN_MS } from '../cluster/worker.ts';
import { writeWorkerRecord } from '../cluster/worker-record.ts';
import { type Config, environmentOf, loadConfig } from '../config.ts';
import { type Deps, openDeps, workersOf } from '../deps.ts';
import { commandActor } from '../features/actor.ts';
import type { KeyService } from '../features/identity/keys/service.ts';
import { OPERATORS } from '../features/identity/organization-id.ts';
import { ALL_SCOPES, createFeatures } from '../features.ts';
import { createClusterMetrics } from '../instrumentation/cluster-metrics.ts';
import { createLogger, type Logger } from '../instrumentation/logger.ts';
import { onLauncherExit } from './launcher.ts';
import { fail } from './output.ts';
import { requireServices } from './require-services.ts';
import { seed } from './seed.ts';
import { startupBanner } from './startup-banner.ts';

// The supervisor queries the database only during the start.
const SUPERVISOR_CONNECTIONS = 2;
// How long a worker may take to close everything after its last request.
const CLOSE_MS = 5000;
// One order to stop can arrive as several signals: to the process group, and forwarded by the parent.
const SECOND_SIGNAL_MS = 1000;
const FORCED_CLOSE_MS = 1000;
// EX_TEMPFAIL of sysexits.h: the launcher restarts a server that exits with it, but not one that failed to start.
const FAILED_WHILE_SERVING = 75;

export function addServeCommand(program: Command): void {
  program.command('serve', { isDefault: true }).description('start Atlas and serve the API').action(serve);
}

/** Prepares the database, starts the workers, and supervises them. The banner is printed once all of them serve. */
async function serve(): Promise<void> {
  const { config } = loadConfig();
  const logger = createLogger(config);
  const onProgress = (text: string) => void process.stderr.write(`Atlas: ${text} …\n`);
  const deps = await openDeps(config, logger, {
    onProgress,
    create: true,
    connectionsMax: SUPERVISOR_CONNECTIONS,
  });
  const closing: (() => Promise<void>)[] = [deps.close];
  try {
    await Promise.all([deps.database.requireSession(), requireServices(config)]);
    for (const { name, why, remedy } of deps.ignoredParameters)
      logger.warn({ parameter: name }, `DATABASE_URL: ${name} has no effect, because ${why}; ${remedy}`);
    await migrateUp(deps.database, await readMigrations());
    if (deps.sealing.keyId === null && !(deps.databaseMode === 'embedded' && deps.sealing.allowsPlain))
      logger.warn(
        'SECRETS_KEY is not set: secrets are stored in plain text, or cannot be created; see atlas doctor',
      );
    await applyIsolation(deps, config, logger, onProgress);
    const features = createFeatures(deps);
    const { identity, ledger } = features;
    if (config.ENVIRONMENT !== 'production' && (await ledger.accounts.isEmpty()))
      await seed(features, (err) =>
        logger.warn({ err }, 'some demo data is missing; create it with atlas seed'),
      );
    const { port, release } = await takePort(config.API_HOST, config.API_PORT, config.ATLAS_DATA_DIR);
    closing.push(async () => release());
    if (config.ADMIN_PORT !== undefined) {
      const admin = await takeAdminPort(config.ADMIN_HOST, config.ADMIN_PORT, config.ATLAS_DATA_DIR);
      closing.push(async () => admin.release());
    }
    removeCommitSockets(config.ATLAS_DATA_DIR, port);
    migrateRequests();
    const supervisor = createSupervisor(config, logger, deps, port, closing);
    stopOnSignal(supervisor, logger, closing);
    serveStats(supervisor, config, logger, port, closing);
    if (!(await supervisor.start())) return;
    // Last, so that a failed start does not create a key that nobody sees.
    const token = await createFirstKey(identity.keys, config);
    rollOnHangUp(supervisor, logger);
    // The driver leaves a promise rejected when a cancel finds no server; log it rather than print it.
    process.on('unhandledRejection', (err) => logger.warn({ err }, 'unhandled rejection'));
    process.on('exit', askForRestart);
    const modes = supervisor.incarnations.flatMap(({ status }) => status?.mode ?? []);
    // The signal handlers are ready by now. The key goes to the terminal here, and never through the logger.
    process.stdout.write(startupBanner({ config, databaseMode: deps.databaseMode, port, token, modes }));
  } catch (error) {
    await closeAll(closing);
    throw error;
  }
}

/** All hosts share the switch, so this says when the setting of this host has changed it for them. */
async function applyIsolation(
  { database }: Deps,
  { ISOLATION }: Config,
  logger: Logger,
  onProgress: (text: string) => void,
): Promise<void> {
  if (ISOLATION === undefined) return;
  const isOn = ISOLATION === 'on';
  if (!(await switchIsolation(database, isOn, commandActor(), OPERATORS, onProgress))) return;
  if (isOn) logger.info('ISOLATION=on: from now on, organizations see only what is theirs, on all hosts');
  else logger.warn('ISOLATION=off: from now on, every key with the scope sees all accounts, on all hosts');
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
        // Workers keep the settings of this start, even if `.env` is edited later.
        ...environmentOf(config),
        API_PORT: String(port),
        DATABASE_URL: databaseUrl,
        [WORKER_ENVIRONMENT.workers]: String(workers),
        [WORKER_ENVIRONMENT.databaseMode]: databaseMode,
      },
    },
    cap: config.LOAD_SHEDDING_MAX_CONCURRENT,
    // With Redis, leases limit the workers.
    capBounded: config.REDIS_URL === undefined,
    drainMaxMs: DRAIN_MS + requestMaxMs + CLOSE_MS,
    logger,
    onProcesses: recordProcesses(config, logger, port, idPrefix),
    onCrashLoop: (error) => void closeAll(closing).then(() => fail(error)),
  });
}

/** Records the workers for the next start, which kills those that outlive this supervisor and hold the port. */
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
      if (!hasFailed) logger.warn({ err }, 'could not record the workers for the next start');
      hasFailed = true;
    }
  };
}

/** Serves the metrics of the cluster to the workers, and the status to `atlas status`. */
function serveStats(
  supervisor: Supervisor,
  config: Config,
  logger: Logger,
  port: number,
  closing: (() => Promise<void>)[],
): void {
  const metrics = createClusterMetrics(() => ({
    restarts: supervisor.restarts,
    workers: supervisor.incarnations.map(({ slot, state, status, isBusy: busy }) => ({
      slot,
      state,
      busy,
      inFlight: status?.inFlight ?? 0,
      limit: status?.limit ?? 0,
      loopDelayMs: status?.loopDelayMs ?? 0,
      rssBytes: status?.rssBytes ?? 0,
    })),
  }));
  new ClusterScrape(supervisor, metrics);
  try {
    const path = statusSocketPath(config.ATLAS_DATA_DIR, port);
    const { API_HOST: host, ADMIN_HOST, ADMIN_PORT, LOAD_SHEDDING_MAX_CONCURRENT: cap } = config;
    const admin = ADMIN_PORT === undefined ? null : { host: ADMIN_HOST, port: ADMIN_PORT };
    const read = () => statusOf(supervisor, { host, port, admin, cap });
    const socket = serveStatus(path, config.ATLAS_DATA_DIR, read);
    closing.unshift(socket.close);
  } catch (err) {
    logger.warn({ err }, 'atlas status is unavailable');
  }
}

/** Drains all workers, then closes everything. A second signal stops everything immediately. */
function stopOnSignal(supervisor: Supervisor, logger: Logger, closing: (() => Promise<void>)[]): void {
  let signalledMs: number | null = null;
  const stop = async (signal: string) => {
    if (signalledMs !== null) {
      if (performance.now() - signalledMs < SECOND_SIGNAL_MS) return;
      logger.warn({ signal }, 'stopping immediately; requests in flight are dropped');
      supervisor.kill();
      await Promise.race([closeAll(closing), Bun.sleep(FORCED_CLOSE_MS)]);
      process.exit(1);
    }
    signalledMs = performance.now();
    process.off('exit', askForRestart);
    logger.info({ signal }, 'draining: finishing requests in flight');
    await supervisor.stop();
    await closeAll(closing).catch((err: unknown) => logger.warn({ err }, 'could not close everything'));
    logger.info('stopped');
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => void stop(signal));
  onLauncherExit(() => {
    logger.warn('the launcher has exited; stopping, because nothing would restart this server');
    void stop('SIGTERM');
  });
  // Closing a terminal sends the same signal as an operator who wants new workers.
  const inTerminal = process.stdin.isTTY || process.stdout.isTTY;
  process.on('SIGHUP', () => inTerminal && !hasTerminal() && void stop('SIGHUP'));
}

/** Exits with the code that tells the launcher to restart a server that failed after its start. */
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
    // Elsewhere, two listeners on one port do not share connections.
    if (process.platform === 'linux') void supervisor.roll();
    else logger.warn('workers can be replaced only on Linux; restart Atlas instead');
  });
}

async function closeAll(closing: readonly (() => Promise<void>)[]): Promise<void> {
  for (const close of closing) await close();
}

/** Creates the owner's key of a new installation. In production, only if there is a terminal to show it on. */
async function createFirstKey(keys: KeyService, config: Config): Promise<string | null> {
  const isVisible = config.ENVIRONMENT !== 'production' || process.stdout.isTTY;
  if (!isVisible || !(await keys.isEmpty())) return null;
  const { token } = await keys.create({
    owner: 'owner',
    name: 'first key',
    scopes: ALL_SCOPES,
    expiresAt: null,
  });
  return token;
}
