import { afterEach, describe, expect, test } from 'bun:test';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { isPostgresInstalled, POSTGRES_BIN } from '../../infra/native-postgres.ts';
import { isAvailable } from '../support/is-available.ts';
import { until } from '../support/until.ts';

const ROOT = dirname(dirname(import.meta.dir));
const RUN_SERVICE = join(ROOT, 'infra/run-service.ts');
// Two starts of Atlas, and half a minute of load.
const DEMO_MS = 120_000;

let folders: string[] = [];
afterEach(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
  folders = [];
});

/** Runs a command that keeps its temporary files in a separate folder. */
async function start(args: readonly string[]) {
  const folder = await mkdtemp(join(tmpdir(), 'atlas-demo-test-'));
  // PostgreSQL runs as another user, who must be able to enter.
  await Bun.$`chmod 755 ${folder}`.quiet();
  folders.push(folder);
  const child = spawn(process.execPath, args, {
    cwd: folder,
    env: { PATH: process.env.PATH ?? '', HOME: folder, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  const ended = new Promise<number | null>((done) => child.once('close', done));
  return { folder, child, output: () => output, ended };
}

const demo = (...args: string[]) => start([join(ROOT, 'src/main.ts'), 'demo', ...args]);

/** Returns what a demo left in its folder, except for what Bun keeps there. */
async function leftIn(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name !== '.bun');
}

/** Returns the processes that were started in the folder, or for it. */
function processesOf(folder: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid) || pid === String(process.pid)) return false;
    try {
      return ['cmdline', 'environ'].some((file) =>
        readFileSync(`/proc/${pid}/${file}`, 'utf8').includes(folder),
      );
    } catch {
      return false;
    }
  });
}

describe('atlas demo', () => {
  async function expectPromisesHeld(fault: string, ...needed: RegExp[]): Promise<void> {
    const { folder, output, ended } = await demo('--fault', fault, '--seconds', '2');
    const code = await ended;
    const text = output();
    expect(text).toContain('Nothing was lost or duplicated.');
    expect(text).toMatch(/transfers {4}[1-9]\d* in the ledger, 0 lost, 0 duplicated, 0 unknown/);
    expect(text).toMatch(/events {7}([1-9]\d*) of \1 for the bank's account, 0 out of order/);
    expect(text).not.toMatch(/WRONG|BROKEN|DISCREPANCIES/);
    for (const pattern of needed) expect(text).toMatch(pattern);
    expect(code).toBe(0);
    expect(await leftIn(folder)).toEqual([]);
    await until(() => processesOf(folder).length === 0);
  }

  test(
    'shows a worker being killed and replaced',
    () => expectPromisesHeld('worker-killed', /FAULT/),
    DEMO_MS,
  );

  test.if(isAvailable('PostgreSQL 15', isPostgresInstalled() ? POSTGRES_BIN : null))(
    'shows PostgreSQL being killed and restarted, and the refusals meanwhile',
    () => expectPromisesHeld('postgres-down', /seen .*[1-9]\d* × 503/, /with no request served/),
    DEMO_MS,
  );

  test(
    'stops everything it started when it is interrupted',
    async () => {
      const { folder, child, output, ended } = await demo('--fault', 'worker-killed', '--seconds', '600');
      await until(() => output().includes('FAULT '));
      expect(processesOf(folder).length).toBeGreaterThan(3);
      child.kill('SIGINT');
      expect(await ended).toBe(130);
      expect(await leftIn(folder)).toEqual([]);
      await until(() => processesOf(folder).length === 0);
    },
    DEMO_MS,
  );

  test('lists the faults with the services they need', async () => {
    const { output, ended } = await demo('--list');
    expect(await ended).toBe(0);
    for (const fault of ['worker-killed', 'postgres-down', 'redis-down', 'kafka-down', 's3-down'])
      expect(output()).toContain(fault);
  });

  test('rejects an unknown fault and lists the known ones', async () => {
    const { output, ended } = await demo('--fault', 'meteor');
    expect(await ended).toBe(1);
    expect(output()).toContain('worker-killed');
  });

  test('rejects an unknown service', async () => {
    const { output, ended } = await start([RUN_SERVICE, 'oracle', join(tmpdir(), 'never'), '1']);
    expect(await ended).toBe(1);
    expect(output()).toContain('do:   bun infra/run-service.ts postgres|redis|kafka|s3 FOLDER PORT');
  });
});
