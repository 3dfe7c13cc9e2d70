import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { OHA_VERSION } from '../../infra/oha.ts';
import packageJson from '../../package.json';
import { VERSION } from '../../src/version.ts';

/** How long and how often is measured, whatever a benchmark plans. */
export interface BenchPlan {
  readonly mode: 'full' | 'quick';
}

/** What the stats depend on beside the code. Stats of other conditions cannot be compared with them. */
export interface Conditions {
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGibibytes: number;
  readonly kernel: string;
  /** Processes that wanted a core in the minute before the start: anything but about 0 disturbs. */
  readonly loadBefore: number;
  readonly versions: Readonly<Record<string, string>>;
  readonly plan: BenchPlan;
}

/** Reads the conditions. Called before anything is started, for the load of the machine is one of them. */
export function readConditions(plan: BenchPlan): Conditions {
  const cores = cpus();
  return {
    date: new Date().toISOString(),
    cpu: cores[0]!.model,
    cores: cores.length,
    memoryGibibytes: Math.round(totalmem() / 2 ** 30),
    kernel: `${type()} ${release()}`,
    loadBefore: Math.round(loadavg()[0]! * 100) / 100,
    versions: {
      atlas: VERSION,
      bun: Bun.version,
      hono: packageJson.dependencies.hono,
      '@hono/prometheus': packageJson.devDependencies['@hono/prometheus'],
      oha: OHA_VERSION,
    },
    plan,
  };
}

/** Throws on a machine where server and client cannot have a core each. */
export function requireBenchMachine(): void {
  if (process.platform === 'linux' && cpus().length >= 2 && Bun.which('taskset') !== null) return;
  throw new Error(
    'The benchmark cannot run here.\n  why:  it pins the server and its client to a core each and reads /proc\n  do:   run it on Linux with two cores or more and taskset (package util-linux)',
  );
}

/** The conditions as lines for people. */
export function conditionsText({
  date,
  cpu,
  cores,
  memoryGibibytes,
  kernel,
  loadBefore,
  versions,
  plan,
}: Conditions): string {
  const told = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    `${date}, ${plan.mode} run`,
    `${cpu}, ${cores} cores, ${memoryGibibytes} GiB, ${kernel}, load before ${loadBefore}`,
    told.join(', '),
  ].join('\n');
}
