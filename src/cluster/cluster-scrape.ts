import { AggregatorRegistry, type Registry } from 'prom-client';
import type { MetricSnapshot } from './merge-metrics.ts';
import type { FromWorker } from './messages.ts';
import type { Supervisor } from './supervisor.ts';
import type { WorkerIncarnation } from './worker-incarnation.ts';

const COLLECT_MAX_MS = 500;

/**
 * Answers the workers that are asked for `/metrics` with the stats of the whole cluster. Every live worker is asked
 * for its own; of one that is silent the last known are used. All is added up in one place at one instant, so of two
 * scrapes that follow each other the later one never has less, whichever workers answered them.
 */
export class ClusterScrape {
  readonly #supervisor: Supervisor;
  /** The metrics that the supervisor itself has. */
  readonly #own: Registry;
  readonly #waiting = new Map<number, () => void>();
  #requests = 0;
  #running: Promise<string> | null = null;
  #next: Promise<string> | null = null;

  constructor(supervisor: Supervisor, own: Registry) {
    this.#supervisor = supervisor;
    this.#own = own;
    supervisor.onMessage = (incarnation, message) => this.#hear(incarnation, message);
  }

  #hear(incarnation: WorkerIncarnation, message: FromWorker): void {
    if (message.kind === 'scrape') {
      void this.text().then((text) => incarnation.send({ kind: 'scraped', id: message.id, text }));
    } else if (message.kind === 'stats' && message.id !== null) this.#waiting.get(message.id)?.();
  }

  /** The metrics of the cluster. One collection runs at a time; whoever comes meanwhile shares the one after it. */
  text(): Promise<string> {
    if (this.#running === null) {
      this.#running = this.#collect().finally(() => {
        this.#running = null;
      });
      return this.#running;
    }
    this.#next ??= this.#running.then(() => {
      this.#next = null;
      return this.text();
    });
    return this.#next;
  }

  async #collect(): Promise<string> {
    const ready = this.#supervisor.incarnations.filter(({ status }) => status !== null);
    await Promise.all(ready.map((incarnation) => this.#ask(incarnation)));
    const own = (await this.#own.getMetricsAsJSON()) as unknown as MetricSnapshot[];
    const merged = this.#supervisor.stats.merged(own);
    // Of one part it makes the same again, as a registry that can print it.
    return AggregatorRegistry.aggregate([merged]).metrics();
  }

  /** Resolves when the worker has told its stats, has ended, or has taken too long. */
  #ask(incarnation: WorkerIncarnation): Promise<void> {
    const id = ++this.#requests;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, COLLECT_MAX_MS);
    this.#waiting.set(id, resolve);
    void incarnation.exited.then(resolve);
    incarnation.send({ kind: 'collect', id });
    return promise.finally(() => {
      clearTimeout(timer);
      this.#waiting.delete(id);
    });
  }
}
