import { NO_METRICS, readAtlasMetrics } from './atlas-metrics.ts';
import type { DemoClient } from './client.ts';
import type { FileLoad } from './file-load.ts';
import { auditNow } from './ledger-audit.ts';
import type { Load } from './load.ts';
import { OUTBOX_BUSY_ROWS } from './outcome.ts';
import { progressRow } from './progress-table.ts';
import { addTally, emptyTally, failuresOf } from './request-stats.ts';

/** What a monitor observes. */
export interface MonitorOptions {
  readonly client: DemoClient;
  /** The account that every transfer debits. */
  readonly bank: string;
  readonly load: Load;
  readonly files: FileLoad | null;
  readonly print: (line: string) => void;
  /** Aborts every wait. */
  readonly signal: AbortSignal;
}

// How long the effects of a fault may last: a killed Kafka is back after 13 s.
const AFTER_SECONDS_MAX = 60;
const CALM_SECONDS = 3;

/** Prints a row for each second, and keeps the totals. */
export class Monitor {
  readonly totals = emptyTally();
  filesFailed = 0;
  /** The largest backlog of the outbox, and when it was last a large one. */
  outboxRowsMax = 0;
  outboxBusyMs = 0;
  #time = 0;
  readonly #options: MonitorOptions;

  constructor(options: MonitorOptions) {
    this.#options = options;
  }

  /** Observes for a number of seconds. */
  async watchFor(seconds: number, phase: string): Promise<void> {
    for (let i = 0; i < seconds; i++) await this.#watchSecond(phase);
  }

  /** Observes until `done` settles, and throws if it rejects. */
  async watchUntil(done: Promise<unknown>, phase: string): Promise<void> {
    let isDone = false;
    const end = () => {
      isDone = true;
    };
    done.then(end, end);
    await Bun.sleep(0);
    while (!isDone) await this.#watchSecond(phase);
    await done;
  }

  /** Observes until nothing fails for some seconds, for a minute at most. */
  async watchUntilCalm(phase: string): Promise<void> {
    for (let calm = 0, i = 0; calm < CALM_SECONDS && i < AFTER_SECONDS_MAX; i++)
      calm = (await this.#watchSecond(phase)).isCalm ? calm + 1 : 0;
  }

  async #watchSecond(phase: string): Promise<{ isCalm: boolean }> {
    const { client, bank, load, files, print, signal } = this.#options;
    const startMs = performance.now();
    signal.throwIfAborted();
    const reading = readAtlasMetrics(client);
    const auditing = auditNow(client, bank, load);
    await Bun.sleep(1000);
    signal.throwIfAborted();
    const tally = load.takeTally();
    const fileTally = files?.takeTally() ?? null;
    // A reply that takes longer than the second is shown as missing.
    const metrics = await Promise.race([reading, Promise.resolve(NO_METRICS)]);
    const audit = await Promise.race([auditing, Promise.resolve(null)]);
    this.#time += Math.round((performance.now() - startMs) / 1000);
    print(progressRow({ time: this.#time, phase, tally, files: fileTally, metrics, audit }));
    addTally(this.totals, tally);
    const outboxRows = metrics.outboxRows ?? 0;
    this.outboxRowsMax = Math.max(this.outboxRowsMax, outboxRows);
    if (outboxRows >= OUTBOX_BUSY_ROWS) this.outboxBusyMs = performance.now();
    const filesFailed = fileTally?.failed ?? 0;
    this.filesFailed += filesFailed;
    const isCalm =
      failuresOf(tally) + filesFailed === 0 &&
      tally.served > 0 &&
      metrics.breakers?.length === 0 &&
      metrics.outboxRows !== null &&
      outboxRows < OUTBOX_BUSY_ROWS;
    return { isCalm };
  }
}
