import { closeSync, openSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Command } from 'commander';
import { migrateUp, readMigrations } from '../adapters/migrations.ts';
import { claimPort } from '../cluster/claim-port.ts';
import { ClusterScrape } from '../cluster/cluster-scrape.ts';
import { WORKER_ENVIRONMENT } from '../cluster/messages.ts';
import { migrateRequests } from '../cluster/migrate-requests.ts';
import { serveStatus, statusOf, statusSocketPath } from '../cluster/status-socket.ts';
import { Supervisor } from '../cluster/supervisor.ts';
import { DRAIN_MS } from '../cluster/worker.ts';
import { type Config, loadConfig } from '../config.ts';
import { type Deps, openDeps, workersOf } from '../deps.ts';
import { ALL_SCOPES } from '../features/keys/domain.ts';
import { createClusterMetrics } from '../instrumentation/cluster-metrics.ts';
import { createLogger, type Logger } from '../instrumentation/logger.ts';
import { createServices, type Services } from '../services.ts';
import { VERSION } from '../version.ts';
import { fail } from './output.ts';
import { DEMO_ACCOUNTS, seed } from './seed.ts';

// The supervisor itself asks the database only at the start.
const SUPERVISOR_CONNECTIONS = 2;
// What a worker may need beyond its requests to close everything.
const CLOSE_MS = 5000;
// One order to stop can come as several signals: to the whole group, and passed on by whoever started this.
const SECOND_SIGNAL_MS = 1000;
const CLOSE_AT_ONCE_MS = 1000;

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
    await migrateUp(deps.sql, await readMigrations());
    const services = createServices(deps);
    const { accounts } = await services.accounts.list(null, 1);
    if (accounts.length === 0 && config.ENVIRONMENT !== 'production') await seed(services);
    const port = await claimPort(config.API_HOST, config.API_PORT);
    migrateRequests();
    const supervisor = createSupervisor(config, logger, deps, port, closing);
    stopOnSignal(supervisor, logger, closing);
    serveFigures(supervisor, config, logger, port, closing);
    if (!(await supervisor.start())) return;
    // Last, so that a start that fails does not make a key that nobody sees.
    const token = await makeFirstKey(services, config);
    rollOnHangUp(supervisor, logger);
    // The driver tells nobody when a cancel finds no server; it must not reach the terminal past the logger.
    process.on('unhandledRejection', (err) => logger.warn({ err }, 'a failure that nobody waited for'));
    // Whoever reads it may send a signal at once.
    announce(config, deps, port, token);
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
  return new Supervisor({
    workers,
    idPrefix: `${hostname()}-${process.pid}-${Date.now().toString(36)}`,
    start: {
      command: [process.execPath, Bun.main, 'worker'],
      environment: {
        ...process.env,
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
    onCrashLoop: (error) => void closeAll(closing).then(() => fail(error)),
  });
}

/** What the supervisor tells: metrics to its workers, its status to `atlas status`. */
function serveFigures(
  supervisor: Supervisor,
  config: Config,
  logger: Logger,
  port: number,
  closing: (() => Promise<void>)[],
): void {
  const metrics = createClusterMetrics(() => ({
    restarts: supervisor.restarts,
    workers: supervisor.lives.map(({ slot, state, status }) => ({
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
    const read = () => statusOf(supervisor, port, config.LOAD_SHEDDING_MAX_CONCURRENT);
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
async function makeFirstKey({ keys }: Pick<Services, 'keys'>, config: Config): Promise<string | null> {
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

/** Tells a person what was started. The key goes to the terminal here, and never through the logger. */
function announce(config: Config, deps: Deps, port: number, token: string | null): void {
  const url = `http://${config.API_HOST.includes(':') ? `[${config.API_HOST}]` : config.API_HOST === '0.0.0.0' ? '127.0.0.1' : config.API_HOST}:${port}`;
  const lines = [
    '',
    `Atlas ${VERSION} serves on ${url}`,
    ...(config.DOCS_ENABLED ? [`  docs         ${url}/docs`] : []),
    `  PostgreSQL   ${deps.databaseMode}${deps.databaseMode === 'embedded' ? `, data in ${config.ATLAS_DATA_DIR}` : ''}`,
    `  workers      ${workersOf(config)}${process.platform === 'linux' ? '' : ', as only Linux spreads connections over more'}`,
    `  limits       ${config.LOAD_SHEDDING_MAX_CONCURRENT} requests in flight, ${config.REDIS_URL ? 'shared through Redis' : 'in equal shares of the workers'}`,
    '  events       kept in the outbox',
    '',
  ];
  if (token !== null) {
    const body = { debitAccountId: DEMO_ACCOUNTS.alice, creditAccountId: DEMO_ACCOUNTS.bob, amount: 1250 };
    const transfer = `curl -s ${url}/v1/transfers -H 'Authorization: Bearer ${token}' -H 'Idempotency-Key: first' -H 'Content-Type: application/json' -d '${JSON.stringify(body)}'`;
    lines.push('Your API key, shown this once:', `  ${token}`, '');
    if (config.ENVIRONMENT === 'production')
      lines.push('Try it:', `  curl -s ${url}/v1/ping -H 'Authorization: Bearer ${token}'`, '');
    else lines.push('Move 12.50 EUR from Alice to Bob:', `  ${transfer}`, '');
  } else {
    lines.push(
      'Try it:',
      `  curl -s ${url}/health`,
      '',
      'Another API key: npm run -s atlas -- key create --name NAME',
      '',
    );
  }
  process.stdout.write(`${lines.join('\n')}\n`);
}
