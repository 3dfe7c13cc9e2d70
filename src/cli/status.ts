import type { Command } from 'commander';
import { type ClusterStatus, requireStatus } from '../cluster/status-socket.ts';
import { loadConfig } from '../config.ts';
import { table } from './output.ts';

const REDRAW_MS = 1000;
// Several missed heartbeats.
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
    .description('show the workers of the running Atlas; in a terminal, refresh every second')
    .option('--once', 'print once and exit')
    .option('--json', 'print as JSON and exit')
    .action(async ({ once, json }: { once?: boolean; json?: boolean }) => {
      const { config } = loadConfig();
      const read = () => requireStatus(config.ATLAS_DATA_DIR, config.API_PORT);
      if (json) return console.log(JSON.stringify(await read(), null, 2));
      if (once || !process.stdout.isTTY) return console.log(statusText(await read()));
      for (;;) {
        process.stdout.write(`${CLEAR}${statusText(await read())}\n`);
        await Bun.sleep(REDRAW_MS);
      }
    });
}

/** Returns the status as a heading and a table with one row for each worker. */
export function statusText(status: ClusterStatus): string {
  const rows = status.slots.map(
    ({ slot, state, uptimeSeconds, restarts, worker, heartbeatAgeSeconds, busy }) => [
      slot,
      worker?.pid ?? '–',
      heartbeatAgeSeconds !== null && heartbeatAgeSeconds > SILENT_SECONDS
        ? `${busy ? 'busy' : 'silent'} ${Math.floor(heartbeatAgeSeconds)} s`
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
    ],
  );
  const { port, pid, uptimeSeconds } = status;
  const heading = `Atlas on port ${port}, supervisor ${pid}, up ${duration(uptimeSeconds)}, ${inFlightText(status)}`;
  return [`${heading}\n`, table(HEAD, rows), ...breakerLines(status)].join('\n');
}

/** Returns a line for each worker with a breaker that is not closed; as columns they would make the table too wide. */
function breakerLines({ slots }: ClusterStatus): string[] {
  const lines = slots.flatMap(({ slot, worker }) => {
    const breakers = Object.entries(worker?.breakers ?? {}).map(([name, state]) => `${name} ${state}`);
    return breakers.length === 0 ? [] : [`Circuit breakers in slot ${slot}: ${breakers.join(', ')}`];
  });
  return lines.length === 0 ? [] : ['', ...lines];
}

/** Only the workers of this host are shown; with Redis, the cap is shared with the workers of other hosts. */
function inFlightText({ cap, slots }: ClusterStatus): string {
  const workers = slots.flatMap(({ worker }) => worker ?? []);
  const inFlight = workers.reduce((sum, worker) => sum + worker.inFlight, 0);
  if (workers.every(({ mode }) => mode === 'static')) return `${inFlight} of ${cap} in flight`;
  // The smallest cap known to any worker is the one in force.
  const clusterCap = Math.min(...workers.map((worker) => worker.cap));
  return `${inFlight} in flight on this host, cluster cap ${clusterCap}`;
}

function duration(seconds: number): string {
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
