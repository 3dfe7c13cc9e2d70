import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDemoClient, type DemoClient } from './client.ts';
import type { DemoSystem, Fault } from './faults.ts';
import { startFileLoad } from './file-load.ts';
import { auditAll } from './ledger-audit.ts';
import { startLoad } from './load.ts';
import { Monitor } from './monitor.ts';
import { describeOutcome, holdsPromises, type Outcome } from './outcome.ts';
import { progressHead } from './progress-table.ts';
import { addTally } from './request-stats.ts';
import { type StartedAtlas, startAtlas } from './started-atlas.ts';
import { type StartedService, startService } from './started-service.ts';

/** The accounts that the demo moves money between. */
interface Accounts {
  readonly bank: string;
  readonly customers: readonly string[];
}

const CUSTOMERS = 4;
const BEFORE_SECONDS = 3;
const SETTLE_MS = 30_000;
const ATTEMPTS_MAX = 20;
const RETRY_MS = 250;

/** How a demo is run. */
export interface DemoOptions {
  /** How long the fault lasts. */
  readonly seconds: number;
  readonly print: (line: string) => void;
  /** Interrupts the demo. Everything it started is stopped anyway. */
  readonly signal: AbortSignal;
}

/**
 * Starts a separate Atlas with the services the fault needs, puts it under load, injects and removes the fault, and
 * prints the outcome. Returns whether every promise held. Throws an Error if something cannot be started.
 */
export async function runDemo(fault: Fault, { seconds, print, signal }: DemoOptions): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), 'atlas-demo-'));
  // A PostgreSQL started by root runs as another user, who must be able to enter.
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
    const system = { atlas, service: (name: string) => services.find((service) => service.name === name)! };
    return await play(fault, system, { seconds, print, signal });
  } finally {
    print('\nStopping everything …');
    // Atlas would wait for responses of a frozen service.
    for (const service of services) ignoreGone(() => service.signal('SIGCONT'));
    await atlas?.end();
    await Promise.all(services.map((service) => service.kill().catch(() => {})));
    await rm(folder, { recursive: true, force: true, maxRetries: 10 });
  }
}

async function play(
  fault: Fault,
  system: DemoSystem,
  { seconds, print, signal }: DemoOptions,
): Promise<boolean> {
  const { atlas } = system;
  const client = createDemoClient(atlas.url, atlas.key);
  const { bank, customers } = await openAccounts(client);
  const load = startLoad(client, bank, customers);
  const files = fault.withFiles ? startFileLoad(atlas) : null;
  const monitor = new Monitor({ client, bank, load, files, print, signal });
  print(`\nIn ${BEFORE_SECONDS} s: ${fault.description}\n\n${progressHead(files !== null)}`);
  try {
    await monitor.watchFor(BEFORE_SECONDS, 'before');
    await fault.inject(system);
    const injectedMs = performance.now();
    await monitor.watchFor(seconds, 'FAULT');
    let overMs = injectedMs;
    const healing = fault.heal(system).then(() => {
      if (!fault.selfHeals) overMs = performance.now();
    });
    // Healing may take a while, and those seconds are shown too.
    await monitor.watchUntil(healing, 'FAULT');
    await monitor.watchUntilCalm('after');
    print('\nReading everything back …\n');
    const unknown = await load.finish(SETTLE_MS);
    addTally(monitor.totals, load.takeTally());
    const fileAudit = files && (await files.finish());
    const outcome: Outcome = {
      totals: monitor.totals,
      unknown,
      audit: await auditAll(client, bank, load.acknowledged),
      files: fileAudit && {
        ...fileAudit,
        failed: monitor.filesFailed,
        recoveryMs: files!.lastFailureMs - overMs,
      },
      recoveryMs: load.lastFailureMs - overMs,
      longestGapMs: load.longestGapMs,
      outbox: { rowsMax: monitor.outboxRowsMax, drainedMs: monitor.outboxBusyMs - overMs },
      wrong: load.wrong,
    };
    print(describeOutcome(fault, outcome));
    return holdsPromises(outcome);
  } finally {
    await load.finish(0);
  }
}

async function openAccounts(client: DemoClient): Promise<Accounts> {
  const open = async (name: string, allowNegative: boolean) => {
    const account = { id: crypto.randomUUID(), ledger: 'EUR', name, allowNegative };
    // The id makes this safe to retry, which a host that is busy starting up may need.
    for (let attempt = 1; ; attempt++) {
      const { status, body } = await client.send('POST', '/v1/accounts', account);
      if (status === 200 || status === 201) return account.id;
      if (attempt === ATTEMPTS_MAX)
        throw new Error(`The account ${name} could not be opened: ${status} ${body}`);
      await Bun.sleep(RETRY_MS);
    }
  };
  const bank = await open('Demo load: bank', true);
  const customers = [];
  for (let i = 1; i <= CUSTOMERS; i++) customers.push(await open(`Demo load: customer ${i}`, false));
  return { bank, customers };
}

function ignoreGone(act: () => void): void {
  try {
    act();
  } catch {
    // The process has already exited.
  }
}
