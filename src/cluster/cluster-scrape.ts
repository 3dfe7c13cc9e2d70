import { AggregatorRegistry, type Registry } from 'prom-client';
import type { MetricSnapshot } from './merge-metrics.ts';
import type { FromWorker } from './messages.ts';
import type { Supervisor } from './supervisor.ts';
import type { WorkerIncarnation } from './worker-incarnation.ts';

const COLLECT_MAX_MS = 500;

type Collection =
  | { readonly kind: 'none' }
  /** `next` is the collection that follows the running one, if it was requested. */
  | { readonly kind: 'running'; readonly text: Promise<string>; next: Promise<string> | null };

/**
 * Serves the metrics of the whole cluster to workers that are scraped. Collects stats from every live worker and uses
 * the last ones of a worker that does not respond. All sums are taken here, at one instant, so counters never go
 * backwards between two scrapes, whichever workers serve them.
 */
export class ClusterScrape {
  readonly #supervisor: Supervisor;
  /** The metrics of the supervisor itself. */
  readonly #own: Registry;
  readonly #collections = new Map<number, () => void>();
  #collectionsStarted = 0;
  #current: Collection = { kind: 'none' };

  constructor(supervisor: Supervisor, own: Registry) {
    this.#supervisor = supervisor;
    this.#own = own;
    supervisor.onMessage = (incarnation, message) => this.#handle(incarnation, message);
  }

  #handle(incarnation: WorkerIncarnation, message: FromWorker): void {
    if (message.kind === 'scrape') {
      void this.text().then((text) => incarnation.send({ kind: 'scraped', id: message.id, text }));
    } else if (message.kind === 'stats' && message.id !== null) this.#collections.get(message.id)?.();
  }

  /** Returns the metrics as text. One collection runs at a time; calls during a collection share the next one. */
  text(): Promise<string> {
    const current = this.#current;
    if (current.kind === 'running') {
      current.next ??= current.text.then(() => this.text());
      return current.next;
    }
    const text = this.#collect().finally(() => {
      this.#current = { kind: 'none' };
    });
    this.#current = { kind: 'running', text, next: null };
    return text;
  }

  async #collect(): Promise<string> {
    const running = this.#supervisor.incarnations.filter(({ status }) => status !== null);
    await Promise.all(running.map((incarnation) => this.#collectFrom(incarnation)));
    const own = (await this.#own.getMetricsAsJSON()) as unknown as MetricSnapshot[];
    const merged = this.#supervisor.stats.merge(own);
    // Aggregating a single part changes nothing, but returns a registry that can print it.
    return AggregatorRegistry.aggregate([merged]).metrics();
  }

  /** Resolves when the worker has sent its stats, has exited, or has taken too long. */
  #collectFrom(incarnation: WorkerIncarnation): Promise<void> {
    const id = ++this.#collectionsStarted;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, COLLECT_MAX_MS);
    this.#collections.set(id, resolve);
    void incarnation.exited.then(resolve);
    incarnation.send({ kind: 'collect', id });
    return promise.finally(() => {
      clearTimeout(timer);
      this.#collections.delete(id);
    });
  }
}
