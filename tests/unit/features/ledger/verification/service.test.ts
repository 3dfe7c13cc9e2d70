import { expect, test } from 'bun:test';
import type { LedgerRepository } from '../../../../../src/features/ledger/verification/repository.ts';
import { createLedgerService } from '../../../../../src/features/ledger/verification/service.ts';

/** A ledger whose verifications the test ends. Each returns the number of transfers when it started. */
function slowLedger() {
  const running: { end(): void; signal: AbortSignal }[] = [];
  const ledger = { transfers: 0 };
  const repository: LedgerRepository = {
    verify(_owner, _max, signal) {
      const { transfers } = ledger;
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      running.push({ end: resolve, signal: signal! });
      signal!.addEventListener('abort', () => reject(signal!.reason));
      return promise.then(() => ({ accounts: 0, transfers, ledgers: [], discrepancies: [] }));
    },
  };
  return { running, ledger, service: createLedgerService(repository) };
}

const settled = () => new Promise(setImmediate);

test('verifications that are requested during one share the next, which sees what was committed before them', async () => {
  const { running, ledger, service } = slowLedger();
  const first = service.verify(null);
  await settled();
  ledger.transfers = 1;
  const others = Array.from({ length: 50 }, () => service.verify(null));
  await settled();
  expect(running).toHaveLength(1);
  running[0]!.end();
  expect((await first).transfers).toBe(0);
  await settled();
  expect(running).toHaveLength(2);
  running[1]!.end();
  expect((await Promise.all(others)).map(({ transfers }) => transfers)).toEqual(Array(50).fill(1));
  const last = service.verify(null);
  await settled();
  running[2]!.end();
  expect((await last).ok).toBe(true);
});

test('a verification is canceled when its caller leaves, and the next one runs', async () => {
  const { running, service } = slowLedger();
  const caller = new AbortController();
  const left = service.verify(null, caller.signal);
  const waiting = service.verify(null);
  await settled();
  caller.abort(new Error('the deadline passed'));
  expect(running[0]!.signal.aborted).toBe(true);
  await expect(left).rejects.toMatchObject({ code: 'deadline_exceeded' });
  await settled();
  running[1]!.end();
  expect((await waiting).ok).toBe(true);
});
