import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDemoClient, type DemoClient } from './client.ts';
import type { Fault, Stage } from './faults.ts';
import { type FileLoad, startFileLoad } from './file-load.ts';
import { auditAll, auditNow } from './ledger-audit.ts';
import { type Load, startLoad, type Tally } from './load.ts';
import { isKept, OUTBOX_BUSY_ROWS, type Outcome, verdict } from './outcome.ts';
import { headLine, type Inside, lookInside, secondLine } from './progress-table.ts';
import { type StartedAtlas, startAtlas } from './started-atlas.ts';
import { type StartedService, startService } from './started-service.ts';

/** Whose accounts the demo moves money between. */
interface Accounts {
  readonly bank: string;
  readonly customers: readonly string[];
}

const CUSTOMERS = 4;
const BEFORE_SECONDS = 3;
// How long a fault may take to be over: a Kafka that was killed is back after 13 s.
const AFTER_SECONDS_MAX = 60;
const CALM_SECONDS = 3;
const SETTLE_MS = 30_000;
const TRIES_MAX = 20;
const TRY_AGAIN_MS = 250;

/** How a demo is run. */
export interface DemoOptions {
  /** How long the fault lasts. */
  readonly seconds: number;
  readonly print: (line: string) => void;
  /** Ends the demo early. Everything that it started is ended all the same. */
  readonly signal: AbortSignal;
}

/**
 * Starts an Atlas of its own with what the fault needs, lets callers work, lets the fault happen and pass, and tells
 * what was seen. Answers whether all promises were kept. Throws an Error when something cannot be had on this machine.
 */
export async function runDemo(fault: Fault, { seconds, print, signal }: DemoOptions): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), 'atlas-demo-'));
  // A PostgreSQL that is started by root runs as another user, who must be able to pass.
  await chmod(folder, 0o755);
  const services: StartedService[] = [];
  let atlas: StartedAtlas | null = null;
  try {
    for (const name of fault.services) {
      print(`Starting ${name} …`);
      services.push(await startService(name, join(folder, name)));
      signal.throwIfAborted();
    }
    print('Starting Atlas …');
    atlas = await startAtlas(folder, Object.assign({}, ...services.map(({ settings }) => settings)));
    signal.throwIfAborted();
    const stage = { atlas, service: (name: string) => services.find((service) => service.name === name)! };
    return await play(fault, stage, { seconds, print, signal });
  } finally {
    print('\nEnding everything that was started …');
    // One that was stopped keeps Atlas waiting for its answers.
    for (const service of services) ignoreGone(() => service.signal('SIGCONT'));
    await atlas?.end();
    await Promise.all(services.map((service) => service.kill().catch(() => {})));
    await rm(folder, { recursive: true, force: true, maxRetries: 10 });
  }
}

async function play(fault: Fault, stage: Stage, { seconds, print, signal }: DemoOptions): Promise<boolean> {
  const { atlas } = stage;
  const client = createDemoClient(atlas.url, atlas.key);
  const accounts = await openAccounts(client);
  const load = startLoad(client, accounts.bank, accounts.customers);
  const files = fault.withFiles ? startFileLoad(atlas) : null;
  const watch = createMonitor(client, accounts, load, files, print);
  print(`\n${fault.happens}, after ${BEFORE_SECONDS} s\n\n${headLine(files !== null)}`);
  try {
    await watch.seconds(BEFORE_SECONDS, 'calm', signal);
    await fault.inject(stage);
    const injectedMs = performance.now();
    await watch.seconds(seconds, 'FAULT', signal);
    let overMs = injectedMs;
    const healing = fault.heal(stage).then(() => {
      if (!fault.healsItself) overMs = performance.now();
    });
    // It may take a while, and the seconds of that are shown too.
    await watch.until(healing, 'FAULT', signal);
    await watch.untilCalm(signal);
    print('\nReading everything back …\n');
    const open = await load.finish(SETTLE_MS);
    watch.add(load.takeTally());
    const filesLeft = files && (await files.finish());
    const outcome: Outcome = {
      totals: watch.totals,
      open,
      audit: await auditAll(client, accounts.bank, load.acknowledged),
      files: filesLeft && {
        ...filesLeft,
        failed: watch.filesFailed,
        recoveryMs: files!.lastFailureMs - overMs,
      },
      recoveryMs: load.lastFailureMs - overMs,
      longestGapMs: load.longestGapMs,
      outbox: { rowsMax: watch.outboxRowsMax, drainedMs: watch.outboxBusyMs - overMs },
      wrong: load.wrong,
    };
    print(verdict(fault, outcome));
    return isKept(outcome);
  } finally {
    await load.finish(0);
  }
}

async function openAccounts(client: DemoClient): Promise<Accounts> {
  const open = async (name: string, allowNegative: boolean) => {
    const account = { id: crypto.randomUUID(), ledger: 'EUR', name, allowNegative };
    // With an id of its own it is safe to repeat, which a machine that is busy with the start may need.
    for (let tries = 1; ; tries++) {
      const { status, body } = await client.send('POST', '/v1/accounts', account);
      if (status === 200 || status === 201) return account.id;
      if (tries === TRIES_MAX) throw new Error(`The account ${name} could not be opened: ${status} ${body}`);
      await Bun.sleep(TRY_AGAIN_MS);
    }
  };
  const bank = await open('Demo load: bank', true);
  const customers = [];
  for (let i = 1; i <= CUSTOMERS; i++) customers.push(await open(`Demo load: customer ${i}`, false));
  return { bank, customers };
}

/** Prints a line each second, and adds the seconds up. */
function createMonitor(
  client: DemoClient,
  { bank }: Accounts,
  load: Load,
  files: FileLoad | null,
  print: (line: string) => void,
) {
  const totals: Tally = { served: 0, full: 0, unavailable: 0, tooLate: 0, cut: 0, wrong: 0, slowestMs: 0 };
  let filesFailed = 0;
  let outboxRowsMax = 0;
  let outboxBusyMs = 0;
  let second = 0;

  function add(tally: Tally): void {
    for (const name of ['served', 'full', 'unavailable', 'tooLate', 'cut', 'wrong'] as const)
      totals[name] += tally[name];
    totals.slowestMs = Math.max(totals.slowestMs, tally.slowestMs);
  }

  async function oneSecond(phase: string, signal: AbortSignal): Promise<{ isCalm: boolean }> {
    const startMs = performance.now();
    signal.throwIfAborted();
    const looking = lookInside(client);
    const auditing = auditNow(client, bank, load);
    await Bun.sleep(1000);
    signal.throwIfAborted();
    const tally = load.takeTally();
    const fileTally = files?.takeTally() ?? null;
    const unknown: Inside = { breakers: null, outboxRows: null };
    // Who does not answer within the second is shown as that.
    const inside = await Promise.race([looking, Promise.resolve(unknown)]);
    const audit = await Promise.race([auditing, Promise.resolve(null)]);
    second += Math.round((performance.now() - startMs) / 1000);
    print(secondLine(second, phase, tally, fileTally, inside, audit));
    add(tally);
    outboxRowsMax = Math.max(outboxRowsMax, inside.outboxRows ?? 0);
    if ((inside.outboxRows ?? 0) >= OUTBOX_BUSY_ROWS) outboxBusyMs = performance.now();
    filesFailed += fileTally?.failed ?? 0;
    const failed = tally.unavailable + tally.tooLate + tally.cut + tally.wrong + (fileTally?.failed ?? 0);
    const isCalm =
      failed === 0 &&
      tally.served > 0 &&
      inside.breakers?.length === 0 &&
      inside.outboxRows !== null &&
      inside.outboxRows < OUTBOX_BUSY_ROWS;
    return { isCalm };
  }

  return {
    totals,
    add,
    get outboxRowsMax() {
      return outboxRowsMax;
    },
    get outboxBusyMs() {
      return outboxBusyMs;
    },
    get filesFailed() {
      return filesFailed;
    },
    async seconds(count: number, phase: string, signal: AbortSignal) {
      for (let i = 0; i < count; i++) await oneSecond(phase, signal);
    },
    async until(done: Promise<unknown>, phase: string, signal: AbortSignal) {
      let isDone = false;
      const end = () => {
        isDone = true;
      };
      done.then(end, end);
      await Bun.sleep(0);
      while (!isDone) await oneSecond(phase, signal);
      await done;
    },
    async untilCalm(signal: AbortSignal) {
      for (let calm = 0, i = 0; calm < CALM_SECONDS && i < AFTER_SECONDS_MAX; i++)
        calm = (await oneSecond('after', signal)).isCalm ? calm + 1 : 0;
    },
  };
}

function ignoreGone(act: () => void): void {
  try {
    act();
  } catch {
    // It has ended already.
  }
}
