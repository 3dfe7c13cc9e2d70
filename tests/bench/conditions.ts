import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { isPostgresInstalled, POSTGRES_BIN } from '../../infra/native-postgres.ts';
import { OHA_VERSION } from '../../infra/oha.ts';
import packageJson from '../../package.json';
import { VERSION } from '../../src/version.ts';

/** The part that the plans of all benchmarks share. */
export interface BenchPlan {
  readonly mode: 'full' | 'quick';
}

/** What the results depend on besides the code. Results under different conditions cannot be compared. */
export interface Conditions {
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGibibytes: number;
  readonly kernel: string;
  /** Load average of the minute before the start. Anything above 0 distorts the results. */
  readonly loadBefore: number;
  readonly versions: Readonly<Record<string, string>>;
  readonly plan: BenchPlan;
}

/** Reads the conditions. Call it before anything is started: the load of the machine is one of them. */
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
      postgresql: postgresVersion(),
    },
    plan,
  };
}

function postgresVersion(): string {
  if (!isPostgresInstalled()) return 'installed by this run';
  const { stdout } = Bun.spawnSync([join(POSTGRES_BIN, 'postgres'), '--version']);
  return /\d+\.\d+/.exec(stdout.toString())?.[0] ?? 'unknown';
}

/** Throws unless server and client can have a core each. */
export function requireBenchMachine(): void {
  if (process.platform === 'linux' && cpus().length >= 2 && Bun.which('taskset') !== null) return;
  throw new Error(
    'The benchmark cannot run here.\n  why:  it pins server and client to one core each, and reads /proc\n  do:   run it on Linux with at least two cores and taskset (package util-linux)',
  );
}

/** Formats the conditions as text. */
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
  const named = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    `${date}, ${plan.mode} run`,
    `${cpu}, ${cores} cores, ${memoryGibibytes} GiB, ${kernel}, load before ${loadBefore}`,
    named.join(', '),
  ].join('\n');
}
