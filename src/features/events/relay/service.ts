import type { ParkedKey, RelayStatus } from './domain.ts';
import type { RelayRepository } from './repository.ts';

/** How far a consumer is, over all partitions of the log. */
export interface ConsumerLag {
  readonly consumer: string;
  /** Entries of the log that it has not read, or null where the log cannot be asked. */
  readonly lag: number | null;
}

/** The verbs of whoever looks after the events. */
export interface RelayService {
  status(signal?: AbortSignal): Promise<RelayStatus & { readonly lags: readonly ConsumerLag[] }>;
  /** Keys that stopped, the longest first. */
  listParked(signal?: AbortSignal): Promise<readonly ParkedKey[]>;
  /** Has the relay try a parked key again, or all of them. Answers how many. */
  retry(key: string | null): Promise<number>;
}

const LIST_KEYS_MAX = 200;

/** `ends` answers the position, by partition, of a consumer that has read everything; it may fail. */
export function createRelayService(
  repository: RelayRepository,
  ends: (signal: AbortSignal) => Promise<ReadonlyMap<number, number>>,
  timeoutMs: number,
): RelayService {
  return {
    async status(signal) {
      const status = await repository.status(signal);
      const known = await ends(AbortSignal.timeout(timeoutMs)).catch(() => null);
      const names = [...new Set(status.consumers.map(({ consumer }) => consumer))];
      const lags = names.map((consumer) => ({ consumer, lag: known && lagOf(status, consumer, known) }));
      return { ...status, lags };
    },
    listParked: (signal) => repository.listParked(LIST_KEYS_MAX, signal),
    retry: repository.retry,
  };
}

/** Partitions that are not of this log are of the one that was used before. */
function lagOf({ consumers }: RelayStatus, consumer: string, ends: ReadonlyMap<number, number>): number {
  let lag = 0;
  for (const [partition, end] of ends) {
    const found = consumers.find((known) => known.consumer === consumer && known.partition === partition);
    lag += Math.max(0, end - (found?.position ?? 0));
  }
  return lag;
}
