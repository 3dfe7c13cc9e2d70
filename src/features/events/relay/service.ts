import type { ParkedKey, RelayStatus } from './domain.ts';
import type { RelayRepository } from './repository.ts';

/** The lag of a consumer over all partitions of the log. */
export interface ConsumerLag {
  readonly consumer: string;
  /** Entries of the log that it has not read, or null if the log is unavailable. */
  readonly lag: number | null;
}

/** Operations on the relay, for operators. */
export interface RelayService {
  status(
    signal?: AbortSignal,
  ): Promise<RelayStatus & { readonly lags: readonly ConsumerLag[]; readonly retentionDays: number }>;
  /** Returns all parked keys, longest parked first, read in steps. */
  listParked(signal?: AbortSignal): Promise<readonly ParkedKey[]>;
  /** Makes the relay retry a parked key, or all of them for null. Returns how many. */
  retry(key: string | null): Promise<number>;
}

const KEYS_PER_READ = 1000;

/** `ends` returns the end of the log by partition. It may reject, and then no lag is reported. */
export function createRelayService(
  repository: RelayRepository,
  ends: (signal: AbortSignal) => Promise<ReadonlyMap<number, number>>,
  timeoutMs: number,
  retentionDays: number,
): RelayService {
  return {
    async status(signal) {
      const status = await repository.status(signal);
      const positions = await ends(AbortSignal.timeout(timeoutMs)).catch(() => null);
      const names = [...new Set(status.consumers.map(({ consumer }) => consumer))];
      const lags = names.map((consumer) => ({
        consumer,
        lag: positions && lagOf(status, consumer, positions),
      }));
      return { ...status, lags, retentionDays };
    },
    async listParked(signal) {
      const parked: ParkedKey[] = [];
      for (let count = KEYS_PER_READ; count === KEYS_PER_READ; ) {
        const page = await repository.listParked(KEYS_PER_READ, parked.at(-1)?.key, signal);
        parked.push(...page);
        count = page.length;
      }
      return parked.sort((a, b) => Date.parse(a.parkedAt) - Date.parse(b.parkedAt));
    },
    retry: repository.retry,
  };
}

/** Ignores positions in partitions that this log does not have: they belong to a log used before. */
function lagOf({ consumers }: RelayStatus, consumer: string, ends: ReadonlyMap<number, number>): number {
  let lag = 0;
  for (const [partition, end] of ends) {
    const found = consumers.find((at) => at.consumer === consumer && at.partition === partition);
    lag += Math.max(0, end - (found?.position ?? 0));
  }
  return lag;
}
