import { AggregatorRegistry, type Registry } from 'prom-client';
import type { MetricSnapshot } from './merge-metrics.ts';
import type { FromWorker } from './messages.ts';
import type { Supervisor } from './supervisor.ts';
import type { WorkerLife } from './worker-incarnation.ts';

const COLLECT_MAX_MS = 500;

/**
 * Answers the workers that are asked for `/metrics` with the figures of the whole cluster. Every live worker is asked
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
    supervisor.onMessage = (life, message) => this.#hear(life, message);
  }

  #hear(life: WorkerLife, message: FromWorker): void {
    if (message.kind === 'scrape') {
      void this.text().then((text) => life.send({ kind: 'scraped', id: message.id, text }));
    } else if (message.kind === 'figures' && message.id !== null) this.#waiting.get(message.id)?.();
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
    const ready = this.#supervisor.lives.filter(({ status }) => status !== null);
    await Promise.all(ready.map((life) => this.#ask(life)));
    const own = (await this.#own.getMetricsAsJSON()) as unknown as MetricSnapshot[];
    const merged = this.#supervisor.figures.merged(own);
    // Of one part it makes the same again, as a registry that can print it.
    return AggregatorRegistry.aggregate([merged]).metrics();
  }

  /** Resolves when the worker has told its figures, has ended, or has taken too long. */
  #ask(life: WorkerLife): Promise<void> {
    const id = ++this.#requests;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, COLLECT_MAX_MS);
    this.#waiting.set(id, resolve);
    void life.exited.then(resolve);
    life.send({ kind: 'collect', id });
    return promise.finally(() => {
      clearTimeout(timer);
      this.#waiting.delete(id);
    });
  }
}
