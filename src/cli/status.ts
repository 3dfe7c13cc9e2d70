import type { Command } from 'commander';
import { type ClusterStatus, requireStatus } from '../cluster/status-socket.ts';
import { loadConfig } from '../config.ts';
import { table } from './output.ts';

const REDRAW_MS = 1000;
// Several heartbeats that did not come.
const SILENT_SECONDS = 1;
const CLEAR = '\x1b[H\x1b[2J';
const HEAD = [
  'slot',
  'pid',
  'state',
  'up',
  'restarts',
  'in flight',
  'limit',
  'mode',
  'adaptive',
  'cutoff',
  'refused/s',
  'loop delay',
  'memory',
];

export function addStatusCommand(program: Command): void {
  program
    .command('status')
    .description('show the workers of the Atlas that runs here, anew each second in a terminal')
    .option('--once', 'show them once')
    .option('--json', 'print everything as JSON, once')
    .action(async ({ once, json }: { once?: boolean; json?: boolean }) => {
      const { config } = loadConfig();
      const ask = () => requireStatus(config.ATLAS_DATA_DIR, config.API_PORT);
      if (json) return console.log(JSON.stringify(await ask(), null, 2));
      if (once || !process.stdout.isTTY) return console.log(statusText(await ask()));
      for (;;) {
        process.stdout.write(`${CLEAR}${statusText(await ask())}\n`);
        await Bun.sleep(REDRAW_MS);
      }
    });
}

/** The status as a heading and a table with one line for each worker. */
export function statusText(status: ClusterStatus): string {
  const rows = status.slots.map(({ slot, state, uptimeSeconds, restarts, worker, heartbeatAgeSeconds }) => [
    slot,
    worker?.pid ?? '–',
    heartbeatAgeSeconds !== null && heartbeatAgeSeconds > SILENT_SECONDS
      ? `silent ${Math.floor(heartbeatAgeSeconds)} s`
      : state,
    duration(uptimeSeconds),
    restarts,
    worker?.inFlight ?? '–',
    worker?.limit ?? '–',
    worker?.mode ?? '–',
    worker?.adaptiveLimit ?? '–',
    worker?.cutoff ?? '–',
    worker?.refusedPerSecond ?? '–',
    worker ? `${worker.loopDelayMs.toFixed(1)} ms` : '–',
    worker ? `${Math.round(worker.rssBytes / 1_048_576)} MB` : '–',
  ]);
  const { port, pid, uptimeSeconds } = status;
  const heading = `Atlas on port ${port}, supervisor ${pid}, up ${duration(uptimeSeconds)}, ${inFlightText(status)}`;
  return [`${heading}\n`, table(HEAD, rows), ...breakerLines(status)].join('\n');
}

/** One line for each worker with a breaker that is not closed. Below the table, which would be too wide otherwise. */
function breakerLines({ slots }: ClusterStatus): string[] {
  const lines = slots.flatMap(({ slot, worker }) => {
    const breakers = Object.entries(worker?.breakers ?? {}).map(([name, state]) => `${name} ${state}`);
    return breakers.length === 0 ? [] : [`Circuit breakers of slot ${slot}: ${breakers.join(', ')}`];
  });
  return lines.length === 0 ? [] : ['', ...lines];
}

/** The workers shown are those of this host; with Redis the cap is that of more than them. */
function inFlightText({ cap, slots }: ClusterStatus): string {
  const workers = slots.flatMap(({ worker }) => worker ?? []);
  const inFlight = workers.reduce((sum, worker) => sum + worker.inFlight, 0);
  if (workers.every(({ mode }) => mode === 'static')) return `${inFlight} of ${cap} in flight`;
  // The smallest cap that any worker knows of is the one that rules.
  const clusterCap = Math.min(...workers.map((worker) => worker.cap));
  return `${inFlight} in flight on this host, cap of the cluster ${clusterCap}`;
}

function duration(seconds: number): string {
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
