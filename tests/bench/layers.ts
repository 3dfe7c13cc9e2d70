import { readFileSync } from 'node:fs';
import { definePart } from './part.ts';
import type { Rounds } from './plan.ts';
import { PING_PATH } from './servers/ping-app.ts';
import { startDatabase } from './support/database.ts';
import { clientCoreText, load, SERVER_CORE } from './support/oha.ts';
import { inRepository, type Server, startServer } from './support/processes.ts';
import { progress } from './support/progress.ts';
import { alignedTable, decimal, median } from './support/statistics.ts';

const WARM_UP_SECONDS = 0.8;

/** CPU time of a request in microseconds, by round, as one part after another is added. */
interface LayersResult {
  readonly added: readonly string[];
  readonly micros: readonly (readonly number[])[];
  readonly clientShares: readonly number[];
}

/** Returns the names of the layers, outermost first, as `app.ts` lists them. */
function layerNames(): string[] {
  const source = readFileSync(inRepository('src/app.ts'), 'utf8');
  const list = /\): Middleware\[\] \{\s+return \[([\s\S]*?)\n {2}\];/.exec(source)![1]!;
  return [...list.matchAll(/^ {4}(\w+)\(/gm)].map(([, name]) => name!);
}

async function measure({ rounds, seconds }: Rounds, oha: string): Promise<LayersResult> {
  const database = await startDatabase();
  const names = layerNames();
  const env = { ENVIRONMENT: 'production', DATABASE_URL: database.url, API_PORT: '0', API_WORKERS: '1' };
  const commands = [
    ['tests/bench/servers/hono-bare.ts'],
    ...[0, ...names.keys().map((i) => i + 1)].map((some) => ['tests/bench/servers/layers.ts', String(some)]),
    ['src/main.ts', 'serve'],
  ];
  const added = ['bare Hono', 'the app without layers', ...names, 'atlas serve'];
  const servers: Server[] = [];
  for (const [script, ...args] of commands) {
    const command = [process.execPath, inRepository(script!), ...args];
    servers.push(await startServer(command, { core: SERVER_CORE, env }));
  }
  const headers = [`Authorization: Bearer ${database.apiKey}`];
  const run = ({ url, pid }: Server, length: number) => load(oha, url + PING_PATH, pid, length, { headers });
  progress(`layers: warming up ${servers.length} servers`);
  for (const server of servers) await run(server, WARM_UP_SECONDS);
  const micros = servers.map((): number[] => []);
  const clients = servers.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < servers.length; i++) {
      // Every other round goes inwards, so that a slow spell of the machine does not look like a layer.
      const place = round % 2 === 0 ? i : servers.length - 1 - i;
      const { serverShare, clientShare, requestsPerSecond } = await run(servers[place]!, seconds);
      micros[place]!.push((serverShare / requestsPerSecond) * 1e6);
      clients[place]!.push(clientShare);
    }
    progress(`layers: round ${round + 1}/${rounds}`);
  }
  return { added, micros, clientShares: clients.map((shares) => median(shares)) };
}

/** What each layer of the envelope costs. */
export const layers = definePart({
  title: 'The envelope by layer',
  note: `GET /v1/ping with a key. Each row adds one part inside the others: the layers as \`src/app.ts\` lists them, outermost first, in
front of the whole app; last, what \`atlas serve\` does around it (listener, loops, worker process). CPU time of the server on
core 0, oha on core 1. A tenth of a microsecond is noise.`,
  measure: async ({ plan, oha }) => measure(plan.layers, await oha()),
  tables: ({ added, micros, clientShares }) => {
    const middles = micros.map((rounds) => median(rounds));
    const rows = middles.map((middle, i) => [
      i === 0 ? added[i]! : `${added[i]}`,
      decimal(middle),
      i === 0 ? '' : decimal(median(micros[i]!.map((value, round) => value - micros[i - 1]![round]!))),
      decimal(middles[0]! / middle),
      clientCoreText(clientShares[i]!),
    ]);
    const head = ['GET /v1/ping', 'CPU µs', 'added µs', 'rate ÷ bare', 'client core'];
    return [alignedTable(head, rows)];
  },
  targets: () => [],
});
