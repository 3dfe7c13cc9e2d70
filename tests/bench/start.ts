import { freePort } from '../../infra/free-port.ts';
import { until } from '../support/until.ts';
import { definePart } from './part.ts';
import type { Plan } from './plan.ts';
import { freshFolder } from './support/folders.ts';
import { inRepository, start, startServer } from './support/processes.ts';
import { progress } from './support/progress.ts';
import { alignedTable, decimal, median } from './support/statistics.ts';
import { atMost } from './targets.ts';

const START_MS_MAX = 300_000;

/** Seconds from the command to the first 200 from `GET /health/ready`. */
interface StartResult {
  readonly firstSeconds: readonly number[];
  readonly laterSeconds: readonly number[];
  readonly first: number;
  readonly later: number;
}

/** Measures what `npm start` runs, with an empty data folder and with the folder of an earlier start. */
async function benchStart(plan: Plan['start']): Promise<StartResult> {
  // Installs what is missing before the clock starts.
  await start([...launcher(), '--version']).output;
  const firstSeconds: number[] = [];
  const laterSeconds: number[] = [];
  let folder = '';
  for (let i = 0; i < plan.first; i++) {
    folder = freshFolder();
    firstSeconds.push(await secondsToReady(folder));
    progress(`start: first ${i + 1}/${plan.first}  ${decimal(firstSeconds[i]!)} s`);
  }
  for (let i = 0; i < plan.later; i++) {
    laterSeconds.push(await secondsToReady(folder));
    progress(`start: later ${i + 1}/${plan.later}  ${decimal(laterSeconds[i]!)} s`);
  }
  return { firstSeconds, laterSeconds, first: median(firstSeconds), later: median(laterSeconds) };
}

function launcher(): string[] {
  return [Bun.which('node') ?? process.execPath, inRepository('infra/launch.mjs')];
}

async function secondsToReady(dataDir: string): Promise<number> {
  const port = await freePort();
  const env = { ATLAS_DATA_DIR: dataDir, API_PORT: String(port), ENVIRONMENT: 'development' };
  const startedMs = performance.now();
  const starting = startServer([...launcher(), 'src/main.ts', 'serve'], { env });
  const readyMs = readyAtMs(`http://127.0.0.1:${port}/health/ready`);
  // Rejects if the server exits before it is ready.
  const server = await Promise.race([starting, readyMs.then(() => starting)]);
  const seconds = ((await readyMs) - startedMs) / 1000;
  const isEmbedded = /PostgreSQL +embedded/.test(server.announcement);
  await server.stop();
  if (isEmbedded) return seconds;
  throw new Error(
    'The start cannot be measured.\n  why:  Atlas did not start its embedded PostgreSQL\n  do:   remove DATABASE_URL from .env for the benchmark',
  );
}

async function readyAtMs(url: string): Promise<number> {
  const isReady = () =>
    fetch(url).then(
      (response) => response.ok,
      () => false,
    );
  await until(isReady, { deadlineMs: START_MS_MAX, what: `a 200 of ${url}` });
  return performance.now();
}

/** Formats the result as a table. */
function startTable({ first, later, firstSeconds, laterSeconds }: StartResult): string {
  const row = (label: string, middle: number, all: readonly number[]) => [
    label,
    decimal(middle),
    `${decimal(Math.min(...all))}–${decimal(Math.max(...all))}`,
    String(all.length),
  ];
  return alignedTable(
    ['start', 'seconds', 'range', 'starts'],
    [row('first, empty data folder', first, firstSeconds), row('later', later, laterSeconds)],
  );
}

/** How long a user waits for the first response. */
export const startup = definePart({
  title: 'Start',
  note: 'From `node infra/launch.mjs src/main.ts serve` (npm start) to the first 200 from GET /health/ready.',
  measure: ({ plan }) => benchStart(plan.start),
  tables: (result) => [startTable(result)],
  targets: ({ first, later }) => [
    atMost('first start to ready, empty data folder', first, 8, 's', 2),
    atMost('later starts to ready', later, 2, 's', 2),
  ],
});
