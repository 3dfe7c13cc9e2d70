import type { Command } from 'commander';
import { migrateUp, readMigrations } from '../adapters/migrations.ts';
import { type App, createApp } from '../app.ts';
import { type Config, loadConfig } from '../config.ts';
import { type Deps, openDeps } from '../deps.ts';
import { ALL_SCOPES } from '../features/keys/domain.ts';
import { createLogger } from '../instrumentation/logger.ts';
import { settle } from '../utils/settle.ts';
import { VERSION } from '../version.ts';
import { DEMO_ACCOUNTS, seed } from './seed.ts';

// Bun cuts a silent connection after its idle timeout, so that must come after the deadline; 255 s is its maximum.
const IDLE_MARGIN_SECONDS = 10;
const IDLE_MAX_SECONDS = 255;
// Long enough for a request that was sent before the signal to be read.
const DRAIN_MS = 300;

export function addServeCommand(program: Command): void {
  program
    .command('serve', { isDefault: true })
    .description('start everything and serve the API')
    .action(serve);
}

async function serve(): Promise<void> {
  const { config } = loadConfig();
  const logger = createLogger(config);
  const deps = await openDeps(config, logger, (text) => process.stderr.write(`Atlas: ${text} …\n`));
  try {
    await migrateUp(deps.sql, await readMigrations());
    const app = createApp(deps);
    const { accounts } = await app.accounts.list(null, 1);
    if (accounts.length === 0 && config.ENVIRONMENT !== 'production') await seed(app);
    const server = listen(app, deps);
    const token = await makeFirstKey(app, config);
    const timers = startJobs(app, deps);
    stopOnSignal(app, deps, server, timers);
    // The driver tells nobody when a cancel finds no server; it must not reach the terminal past the logger.
    process.on('unhandledRejection', (err) => logger.warn({ err }, 'a failure that nobody waited for'));
    // Last, because whoever reads it may send a signal at once.
    announce(config, deps, server.port!, token);
  } catch (error) {
    await deps.close();
    throw error;
  }
}

/** Finishes what is in flight, writes down what is only in memory, and ends what was started. */
function stopOnSignal(app: App, deps: Deps, server: Bun.Server<unknown>, timers: Timer[]): void {
  const { config, lifecycle, logger } = deps;
  const stop = async (signal: string) => {
    if (lifecycle.draining) return;
    lifecycle.draining = true;
    logger.info({ signal }, 'finishing what is in flight');
    // Stopping cuts connections that look idle, also one whose next request is on its way. So each is first closed in
    // order, by the answer to its next request, while new ones are still served.
    await Bun.sleep(DRAIN_MS);
    const graceMs = (config.HTTP_TIMEOUT + config.DATABASE_TIMEOUT) * 1000;
    await Promise.race([server.stop(), Bun.sleep(graceMs)]);
    for (const timer of timers) clearInterval(timer);
    await app.keys.flushLastUsed().catch(() => {});
    await deps.close().catch((err: unknown) => logger.warn({ err }, 'not everything could be closed'));
    logger.info('stopped');
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => void stop(signal));
}

function listen({ fetch }: App, { config, lifecycle }: Deps) {
  const close = (response: Response) => {
    response.headers.set('connection', 'close');
    return response;
  };
  try {
    return Bun.serve({
      hostname: config.API_HOST,
      port: config.API_PORT,
      idleTimeout: Math.min(IDLE_MAX_SECONDS, Math.ceil(config.HTTP_TIMEOUT) + IDLE_MARGIN_SECONDS),
      fetch: (request) => (lifecycle.draining ? settle(fetch(request), close) : fetch(request)),
    });
  } catch (error) {
    throw new Error(
      `Atlas cannot listen on ${config.API_HOST}:${config.API_PORT}.\n  why:  ${(error as Error).message}\n  do:   stop what uses the port, or set API_PORT to another one`,
      { cause: error },
    );
  }
}

function startJobs({ jobs }: App, { logger }: Deps) {
  return jobs.map(({ name, everyMs, run }) =>
    setInterval(
      () => void run().catch((err: unknown) => logger.warn({ err, job: name }, 'a background job failed')),
      everyMs,
    ),
  );
}

/** The owner's key of a new installation. In production it is made only where a person can see it. */
async function makeFirstKey({ keys }: App, config: Config): Promise<string | null> {
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
    `  limits       ${config.LOAD_SHEDDING_MAX_CONCURRENT} requests in flight, counted by this process`,
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
