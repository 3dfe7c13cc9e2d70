// Runs the simulation over many seeds, `bun tests/simulation/run.ts --seeds 10000`, or one seed with a full trace,
// `--seed 17 --trace`. Exits with 1 if a seed breaks an invariant.
import { parseArgs } from 'node:util';
import { type Callers, DEMANDS, useOfCap } from './cap-use.ts';
import { type Outcome, simulate } from './simulate.ts';

const USE_TARGET = 0.95;
const PROGRESS_SEEDS = 1000;
const SHOWN_MAX = 5;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '10000' },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
  },
});

function hex(hash: number): string {
  return hash.toString(16).padStart(8, '0');
}

function runOne(seed: number): boolean {
  const trace = (line: string) => console.log(line);
  const outcome = simulate(seed, values.trace ? { trace } : {});
  const repeated = simulate(seed);
  console.log(
    `seed ${seed}: ${outcome.events} events, trace ${hex(outcome.hash)}, repeated ${hex(repeated.hash)}`,
  );
  console.log(outcome.violation ?? 'no invariant broken');
  return outcome.violation === null && repeated.hash === outcome.hash;
}

function runMany(seeds: number): boolean {
  const startMs = performance.now();
  const broken: Outcome[] = [];
  const sums = { events: 0, i1: 0, i2: 0, i3: 0, hash: 0, excused: 0 };
  for (let seed = 1; seed <= seeds; seed++) {
    const outcome = simulate(seed);
    if (outcome.violation !== null) broken.push(outcome);
    sums.events += outcome.events;
    sums.i1 += outcome.checks.i1;
    sums.i2 += outcome.checks.i2;
    sums.i3 += outcome.checks.i3;
    sums.excused += Number(outcome.wasExcused);
    sums.hash = Math.imul(sums.hash ^ outcome.hash, 0x01000193) >>> 0;
    if (seed % PROGRESS_SEEDS === 0) console.log(`${seed} seeds, ${broken.length} broken`);
  }
  const seconds = (performance.now() - startMs) / 1000;
  const rows: [string, string][] = [
    ['seeds', `${seeds} in ${seconds.toFixed(1)} s`],
    ['events', sums.events.toLocaleString('en')],
    ['seeds with a worker cut off beyond its lease', sums.excused.toLocaleString('en')],
    ['checks of I1 (all workers reach Redis)', sums.i1.toLocaleString('en')],
    ['checks of I2 (none reaches Redis)', sums.i2.toLocaleString('en')],
    ['checks of I3 (some cut off or paused)', sums.i3.toLocaleString('en')],
    ['combined trace', hex(sums.hash)],
    ['broken seeds', String(broken.length)],
  ];
  for (const [name, value] of rows) console.log(`${name.padEnd(44)} ${value}`);
  for (const { seed, violation } of broken.slice(0, SHOWN_MAX)) console.log(`seed ${seed}: ${violation}`);
  return broken.length === 0;
}

/** Random arrivals leave gaps that retrying callers would fill, so the open loop is reported without a target. */
function printUse(): boolean {
  console.log('\nuse of the cap at three times the demand, without faults    retrying callers     open loop');
  let areMet = true;
  for (const demand of Object.keys(DEMANDS)) {
    const [closed, open] = (['closed', 'open'] satisfies Callers[]).map((callers) =>
      useOfCap(demand, callers, 1),
    );
    const isMet = closed! >= USE_TARGET;
    areMet &&= isMet;
    const result = isMet ? 'met' : 'missed';
    console.log(
      `${demand.padEnd(58)} ${closed!.toFixed(3)} (≥ ${USE_TARGET} ${result})   ${open!.toFixed(3)}`,
    );
  }
  return areMet;
}

const holds =
  values.seed === undefined ? runMany(Number(values.seeds)) && printUse() : runOne(Number(values.seed));
process.exit(holds ? 0 : 1);
