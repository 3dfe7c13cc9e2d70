import { openPostgres, type Sql } from '../../src/adapters/postgres/postgres.ts';
import { type App, createApp } from '../../src/app.ts';
import { type Config, loadConfig } from '../../src/config.ts';
import { type Deps, openDeps } from '../../src/deps.ts';
import { OPERATORS } from '../../src/features/identity/organization-id.ts';
import { ALL_SCOPES, type Features, OPERATOR_SCOPES } from '../../src/features.ts';
import { createLogger } from '../../src/instrumentation/logger.ts';
import { type ApiCaller, requestOf } from './api-caller.ts';
import { type Engine, freshDatabase } from './database.ts';
import { until } from './until.ts';

/** For hooks that may have to start a database: on a busy machine that takes longer than the 5 s of a hook. */
export const START_TIMEOUT_MS = 60_000;

/** The whole Atlas over its own database, called without a socket, with a key of all scopes or that of an operator. */
export interface TestApp extends App, ApiCaller {
  readonly deps: Deps;
  /** The services that tests call directly. */
  readonly keys: Features['identity']['keys'];
  readonly files: Features['files']['service'];
  readonly streams: Features['events']['streams'];
  readonly transfers: Features['ledger']['transfers'];
  /** A pool for what the test arranges and checks. */
  readonly sql: Sql;
  /** The lines logged so far. */
  readonly logs: string[];
  /** Creates an API key, by default with all scopes. */
  key(scopes?: readonly string[], owner?: string): Promise<string>;
  /** Creates the key of an operator, by default with all scopes. */
  operatorKey(scopes?: readonly string[]): Promise<string>;
  /** Returns what calls Atlas as another organization, with a key of all scopes, or with a test key of it. */
  as(owner: string, kind?: 'live' | 'test'): Promise<ApiCaller>;
  close(): Promise<void>;
}

/** Builds the app as in production, with settings as in the environment. */
export async function startTestApp(
  environment: Record<string, string> = {},
  engine: Engine = 'embedded',
): Promise<TestApp> {
  const url = await freshDatabase(engine);
  const { config } = loadConfig(
    {
      ENVIRONMENT: 'test',
      DATABASE_URL: url,
      DATABASE_POOL_SIZE: '5',
      DATABASE_MAX_OVERFLOW: '1',
      ...environment,
    },
    '/dev/null',
  );
  return startTestAppWith(config);
}

async function startTestAppWith(config: Config): Promise<TestApp> {
  const logs: string[] = [];
  const deps = await openDeps(config, createLogger(config, { write: (line) => void logs.push(line) }));
  const app = createApp(deps);
  const sql = openPostgres({ url: deps.databaseUrl, connectionsMax: 2, timeoutSeconds: 20 });
  const key = async (
    scopes: readonly string[] = ALL_SCOPES,
    owner = 'owner',
    kind: 'live' | 'test' = 'live',
  ) =>
    (await app.features.identity.keys.create({ owner, kind, name: 'test', scopes, expiresAt: null })).token;
  const callerWith = (token: string): ApiCaller => ({
    async call(method, path, options = {}) {
      const defaults = { Host: 'atlas.test', Authorization: `Bearer ${token}` };
      return app.fetch(new Request(`http://atlas.test${path}`, requestOf(method, options, defaults)));
    },
  });
  const { identity, files, events, ledger } = app.features;
  const operatorKey = async (scopes = OPERATOR_SCOPES) => {
    const operator = { owner: OPERATORS, kind: 'operator', name: 'test', scopes, expiresAt: null } as const;
    return (await identity.keys.create(operator)).token;
  };
  const keyOf = { operator: await operatorKey(), others: await key() };
  return {
    ...app,
    deps,
    keys: identity.keys,
    files: files.service,
    streams: events.streams,
    transfers: ledger.transfers,
    sql,
    logs,
    key,
    operatorKey,
    as: async (owner, kind) => callerWith(await key(ALL_SCOPES, owner, kind)),
    call: (method, path, options) =>
      callerWith(path.startsWith('/v1/operator/') ? keyOf.operator : keyOf.others).call(
        method,
        path,
        options,
      ),
    async close() {
      await sql.end({ timeout: 5 });
      await deps.close();
    },
  };
}

/** Sends a request without an API key. */
export async function callWithoutKey(
  { fetch }: Pick<TestApp, 'fetch'>,
  method: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(
    new Request(`http://atlas.test${path}`, { method, headers: { Host: 'atlas.test', ...headers } }),
  );
}

/**
 * Sends a request without an API key, again as long as it is refused because the event loop is late: the first request
 * for a document generates it, which a worker does before it serves.
 */
export function callWhenOnTime(...request: Parameters<typeof callWithoutKey>): Promise<Response> {
  return until(async () => {
    const response = await callWithoutKey(...request);
    return response.status !== 429 && response;
  });
}
