import type { LoadStream } from './load/order.ts';
import { runLoad } from './load/run-load.ts';
import { definePart } from './part.ts';
import type { Plan } from './plan.ts';
import { COLORS, lineChart } from './plot/line-chart.ts';
import { linearAxis } from './plot/scale.ts';
import { type OneCore, startOnOneCore } from './saturation/setup.ts';
import { residentMebibytes } from './support/cpu.ts';
import { CLIENT_CORE } from './support/oha.ts';
import { progress } from './support/progress.ts';
import { alignedTable, count, decimal } from './support/statistics.ts';
import { atMost } from './targets.ts';

const ACCOUNTS = 10_000;
const REST_MS = 5000;
const SAMPLES = 60;
const STEADY_PER_SECOND = 1500;
const STRESS_PER_SECOND = 30_000;
const TRANSFERS: LoadStream = { name: 'transfers', kind: 'transfer', share: 1 };
const READS: LoadStream = { name: 'reads', kind: 'account', share: 1 };
const MIXED: readonly LoadStream[] = [
  { ...TRANSFERS, share: 0.3 },
  { ...READS, share: 0.5 },
  { name: 'pings', kind: '/v1/ping', share: 0.2 },
];

/** Resident memory of a worker in MiB. */
interface MemoryResult {
  readonly started: number;
  /** At the end of closed loops and overloads of payments and reads, and after a rest. */
  readonly stressed: number;
  readonly rested: number;
  readonly steadySeconds: number;
  /** Through the steady load that follows: seconds since its start, and MiB. */
  readonly samples: readonly (readonly [number, number])[];
  readonly success: number;
  readonly p99Ms: number | null;
}

async function measure({ stressSeconds, steadySeconds }: Plan['memory']): Promise<MemoryResult> {
  const one = await startOnOneCore();
  const resident = () => residentMebibytes(one.atlas.pid);
  const started = resident();
  for (const stream of [TRANSFERS, READS]) {
    progress(`memory: stress with ${stream.name}, ${count(resident())} MiB`);
    await run(one, [stream], 512, null, stressSeconds);
    await run(one, [stream], 4000, STRESS_PER_SECOND, stressSeconds);
  }
  const stressed = resident();
  await Bun.sleep(REST_MS);
  const rested = resident();
  progress(
    `memory: ${count(stressed)} MiB, then ${count(rested)}; ${steadySeconds} s of ${count(STEADY_PER_SECOND)}/s`,
  );
  const samples: [number, number][] = [];
  const startMs = performance.now();
  const polling = setInterval(
    () => {
      const seconds = (performance.now() - startMs) / 1000;
      samples.push([seconds, resident()]);
      if (samples.length % 10 === 0) progress(`memory: ${count(resident())} MiB after ${count(seconds)} s`);
    },
    (steadySeconds * 1000) / SAMPLES,
  );
  try {
    const { all } = await run(one, MIXED, 256, STEADY_PER_SECOND, steadySeconds);
    return {
      started,
      stressed,
      rested,
      steadySeconds,
      samples,
      success: all.good / all.due,
      p99Ms: all.admitted.p99Ms,
    };
  } finally {
    clearInterval(polling);
  }
}

function run(
  { database, atlas }: OneCore,
  streams: readonly LoadStream[],
  callers: number,
  ratePerSecond: number | null,
  seconds: number,
) {
  return runLoad(database, {
    url: atlas.url,
    accounts: ACCOUNTS,
    streams,
    callers,
    ratePerSecond,
    warmUpSeconds: 1,
    seconds,
    processes: { atlas: atlas.pid, postgres: database.pid },
    core: CLIENT_CORE,
  });
}

const most = ({ samples }: MemoryResult) => Math.max(...samples.map(([, mebibytes]) => mebibytes));

/** Draws the memory under the steady load. Null without a result. */
export function memoryPlot(given: unknown, when: string): string | null {
  if (given === undefined) return null;
  const { samples, steadySeconds } = given as MemoryResult;
  const x = linearAxis('seconds', [steadySeconds]);
  const panel = {
    title: `${count(STEADY_PER_SECOND)} mixed requests per second`,
    x: { ...x, max: steadySeconds, ticks: x.ticks.filter((tick) => tick <= steadySeconds) },
    y: linearAxis(
      'MiB',
      samples.map(([, mebibytes]) => mebibytes),
    ),
    series: [{ name: 'resident memory of the worker', color: COLORS.blue, points: samples }],
  };
  return lineChart({
    title: 'Memory of a worker',
    subtitle: when,
    columns: 1,
    panels: [panel],
    panelHeight: 240,
  });
}

/** The memory of one worker after and under load. */
export const memory = definePart({
  title: 'Memory',
  note: `One worker of atlas serve and PostgreSQL on core 0, the client on core 1. Stress: transfers and reads with 512 callers in a
closed loop and at ${count(STRESS_PER_SECOND)} per second. Then a steady mix of 30 % transfers, 50 % reads and 20 % pings. Resident memory.`,
  measure: ({ plan }) => measure(plan.memory),
  tables: (result) => [
    alignedTable(
      ['one worker', 'MiB'],
      [
        ['started', count(result.started)],
        ['at the end of the stress', count(result.stressed)],
        ['5 s later', count(result.rested)],
        [`most in ${result.steadySeconds} s of ${count(STEADY_PER_SECOND)}/s`, count(most(result))],
        ['at the end of them', count(result.samples.at(-1)?.[1] ?? Number.NaN)],
        ['(of them served in time, %)', decimal(result.success * 100, 1)],
      ],
    ),
  ],
  targets: (result) => [
    atMost('memory of a worker 5 s after the stress', result.rested, 140, 'MiB', 0),
    atMost(
      `memory of a worker through ${result.steadySeconds} s of ${count(STEADY_PER_SECOND)} mixed requests/s`,
      most(result),
      180,
      'MiB',
      0,
    ),
  ],
});
