import { expect } from 'bun:test';
import { DEMO_ACCOUNTS } from '../../src/utils/demo-data.ts';
import { createClient } from '../support/atlas-client.ts';
import { until } from '../support/until.ts';

const { bank: BANK, alice: ALICE } = DEMO_ACCOUNTS;
const RETRY_MS = 50;
const SETTLE_MS_MAX = 30_000;
const AMOUNT = 1;
const STEADY_AFTER = 40;

/** Callers that pay repeatedly, and retry each payment under its key until it is acknowledged. */
export interface Payments {
  /** Number of acknowledged payments. */
  readonly acknowledged: number;
  /** Responses by status since the start or the last {@link Payments.forget}. 0 stands for no response. */
  readonly statuses: ReadonlyMap<number, number>;
  /** Responses of 429 by a worker without processor time since the start or the last {@link Payments.forget}. */
  readonly outOfTime: number;
  /** Responses of 429 and 503 without Retry-After. */
  readonly withoutRetryAfter: number;
  /** The slowest response, in milliseconds. */
  readonly slowestMs: number;
  /** Resets the statistics. */
  forget(): void;
  /**
   * Waits until the callers have finished their payments, and throws if that takes too long. Then fails the test unless
   * every payment took effect exactly once and the ledger is consistent.
   */
  settle(): Promise<void>;
}

/** Starts payments, and returns once they succeed steadily. Statistics start then. */
export async function startSteadyPayments(url: string, key: string): Promise<Payments> {
  const payments = await startPayments(url, key);
  await until(() => payments.acknowledged > STEADY_AFTER);
  payments.forget();
  return payments;
}

/** Starts callers that pay one minor unit at a time from the bank to Alice, with a pause between two payments. */
export async function startPayments(
  url: string,
  key: string,
  { callers = 4, pauseMs = 5 }: { readonly callers?: number; readonly pauseMs?: number } = {},
): Promise<Payments> {
  const client = createClient(url, key);
  const balance = async () =>
    (await client.get<{ creditsPosted: number }>(`/v1/accounts/${ALICE}`)).creditsPosted;
  const before = await balance();
  let statuses = new Map<number, number>();
  let acknowledged = 0;
  let started = 0;
  let slowestMs = 0;
  let withoutRetryAfter = 0;
  let outOfTime = 0;
  let stopped = false;
  let deadlineMs = Number.POSITIVE_INFINITY;

  async function attempt(payment: string): Promise<number> {
    const startMs = performance.now();
    const body = { debitAccountId: BANK, creditAccountId: ALICE, amount: AMOUNT, reference: payment };
    const response = await fetch(`${url}/v1/transfers`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${key}`,
        'Content-Type': 'application/json',
        'Idempotency-Key': payment,
      },
      body: JSON.stringify(body),
    }).catch(() => null);
    const text = (await response?.text().catch(() => '')) ?? '';
    const status = response?.status ?? 0;
    if (status === 429 && text.includes('This worker is out of CPU time')) outOfTime++;
    if ([429, 503].includes(status) && !response!.headers.has('Retry-After')) withoutRetryAfter++;
    slowestMs = Math.max(slowestMs, performance.now() - startMs);
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    return status;
  }

  async function pay(): Promise<void> {
    while (!stopped) {
      const payment = crypto.randomUUID();
      started++;
      while (![200, 201].includes(await attempt(payment))) {
        if (performance.now() > deadlineMs) throw new Error(`the payment ${payment} was never acknowledged`);
        await Bun.sleep(RETRY_MS);
      }
      acknowledged++;
      await Bun.sleep(pauseMs);
    }
  }

  const paying = Promise.all(Array.from({ length: callers }, pay));
  paying.catch(() => {});
  return {
    get acknowledged() {
      return acknowledged;
    },
    get statuses() {
      return statuses;
    },
    get outOfTime() {
      return outOfTime;
    },
    get withoutRetryAfter() {
      return withoutRetryAfter;
    },
    get slowestMs() {
      return slowestMs;
    },
    forget() {
      statuses = new Map();
      outOfTime = 0;
      slowestMs = 0;
    },
    async settle() {
      stopped = true;
      deadlineMs = performance.now() + SETTLE_MS_MAX;
      await paying;
      const verification = await client.get<{ ok: boolean; discrepancies: unknown[] }>(
        '/v1/ledger/verification',
      );
      expect(verification).toMatchObject({ ok: true, discrepancies: [] });
      expect(acknowledged).toBe(started);
      expect((await balance()) - before).toBe(started * AMOUNT);
    },
  };
}
