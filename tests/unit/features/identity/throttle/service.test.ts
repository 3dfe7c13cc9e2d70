import { expect, test } from 'bun:test';
import type { AttemptRepository } from '../../../../../src/features/identity/throttle/repository.ts';
import { createThrottle } from '../../../../../src/features/identity/throttle/service.ts';

/** A throttle whose repository lets everything pass, and the number of its queries. */
function counting() {
  let queries = 0;
  const repository: AttemptRepository = {
    async take() {
      queries++;
      return 0;
    },
    async isKnown() {
      queries++;
      return false;
    },
    async putBack() {},
    async know() {},
    async forgive() {},
    async forget() {},
  };
  return { throttle: createThrottle(repository), queries: () => queries };
}

const codeOf = (attempt: Promise<unknown>) =>
  attempt.then(
    () => null,
    (error: { code: string }) => error.code,
  );

test.each(['signIn', 'mail', 'provider'] as const)(
  'of a client that floods %s, most attempts are refused without a query, and others are not',
  async (what) => {
    const { throttle, queries } = counting();
    const attempt = (i: number, address: string) =>
      what === 'signIn' ? throttle.signIn(`p${i}@example.com`, address) : throttle[what](address);
    const codes = new Set<string | null>();
    for (let i = 0; i < 10_000; i++) codes.add(await codeOf(attempt(i, '192.0.2.1')));
    expect([...codes]).toEqual([null, 'too_many_attempts']);
    expect(queries()).toBeLessThan(1000);
    expect(await codeOf(attempt(0, '198.51.100.1'))).toBeNull();
  },
);
