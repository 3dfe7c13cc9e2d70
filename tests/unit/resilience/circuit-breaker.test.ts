import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { CircuitBreaker, type Pass } from '../../../src/resilience/circuit-breaker.ts';

const THRESHOLD = 5;
const RECOVERY_MS = 60_000;
const TRIALS = 3;

function breakerAt(start = 0) {
  const clock = { nowMs: start };
  const breaker = new CircuitBreaker({
    failureThreshold: THRESHOLD,
    recoveryTimeoutMs: RECOVERY_MS,
    nowMs: () => clock.nowMs,
  });
  return { breaker, clock };
}

function opened() {
  const { breaker, clock } = breakerAt();
  breaker.trip();
  return { breaker, clock };
}

test('it opens at the fifth consecutive failure, not earlier', () => {
  const { breaker } = breakerAt();
  for (let failure = 1; failure < THRESHOLD; failure++) expect(breaker.fail(breaker.enter()!)).toBe(false);
  expect(breaker.state).toBe('closed');
  expect(breaker.fail(breaker.enter()!)).toBe(true);
  expect(breaker.state).toBe('open');
  expect(breaker.enter()).toBeNull();
});

test('a response resets the count, a canceled call does not', () => {
  const { breaker } = breakerAt();
  for (let failure = 1; failure < THRESHOLD; failure++) breaker.fail(breaker.enter()!);
  breaker.succeed(breaker.enter()!);
  for (let failure = 1; failure < THRESHOLD; failure++) breaker.fail(breaker.enter()!);
  breaker.leave(breaker.enter()!);
  expect(breaker.state).toBe('closed');
  breaker.fail(breaker.enter()!);
  expect(breaker.state).toBe('open');
});

test('a successful probe makes it half-open', () => {
  const { breaker } = opened();
  expect(breaker.state).toBe('open');
  breaker.probeSucceeded();
  expect(breaker.state).toBe('half-open');
});

test('it is half-open after the recovery time, whatever the probes found', () => {
  const { breaker, clock } = opened();
  clock.nowMs = RECOVERY_MS - 1;
  expect(breaker.enter()).toBeNull();
  clock.nowMs = RECOVERY_MS;
  expect(breaker.enter()).not.toBeNull();
  expect(breaker.state).toBe('half-open');
});

test('half-open, it allows three trial calls, and closes when all three succeed', () => {
  const { breaker } = opened();
  breaker.probeSucceeded();
  const trials = [breaker.enter()!, breaker.enter()!, breaker.enter()!];
  expect(breaker.enter()).toBeNull();
  breaker.succeed(trials[0]!);
  // A success does not free a trial: three successes are required.
  expect(breaker.enter()).toBeNull();
  breaker.succeed(trials[1]!);
  expect(breaker.state).toBe('half-open');
  breaker.succeed(trials[2]!);
  expect(breaker.state).toBe('closed');
});

test('half-open, one failure opens it again, and a canceled call frees its trial', () => {
  const { breaker } = opened();
  breaker.probeSucceeded();
  const [first, second] = [breaker.enter()!, breaker.enter()!, breaker.enter()!];
  breaker.leave(first);
  expect(breaker.enter()).not.toBeNull();
  expect(breaker.enter()).toBeNull();
  expect(breaker.fail(second)).toBe(true);
  expect(breaker.state).toBe('open');
});

test('without calls, probes alone close it', () => {
  const { breaker } = opened();
  for (let probe = 0; probe < TRIALS; probe++) {
    breaker.probeSucceeded();
    expect(breaker.state).toBe('half-open');
  }
  breaker.probeSucceeded();
  expect(breaker.state).toBe('closed');
});

test('the outcome of a call does not affect a later state, in either direction', () => {
  const { breaker } = breakerAt();
  const old = Array.from({ length: 20 }, () => breaker.enter()!);
  breaker.trip();
  for (const pass of old.slice(0, 5)) breaker.succeed(pass);
  expect(breaker.state).toBe('open');
  breaker.probeSucceeded();
  for (const pass of old.slice(5, 10)) breaker.succeed(pass);
  expect(breaker.state).toBe('half-open');
  expect(breaker.fail(old[10]!)).toBe(false);
  expect(breaker.state).toBe('half-open');
  for (let trial = 0; trial < TRIALS; trial++) breaker.succeed(breaker.enter()!);
  for (const pass of old.slice(11)) expect(breaker.fail(pass)).toBe(false);
  expect(breaker.state).toBe('closed');
});

/** The same rules as a table: what each event does in each state. */
class Model {
  kind: 'closed' | 'open' | 'half-open' = 'closed';
  failures = 0;
  trials = 0;
  successes = 0;
  untilMs = 0;
  epoch = 0;

  #become(kind: Model['kind'], nowMs: number): void {
    Object.assign(this, { kind, failures: 0, trials: 0, successes: 0, epoch: this.epoch + 1 });
    this.untilMs = nowMs + RECOVERY_MS;
  }
  look(nowMs: number): void {
    if (this.kind === 'open' && nowMs >= this.untilMs) this.#become('half-open', nowMs);
  }
  enter(): boolean {
    if (this.kind === 'half-open' && this.trials + this.successes < TRIALS) return ++this.trials > 0;
    return this.kind === 'closed';
  }
  end(how: 'succeed' | 'fail' | 'leave', epoch: number, nowMs: number): void {
    if (epoch !== this.epoch) return;
    this.trials -= this.kind === 'half-open' ? 1 : 0;
    if (how === 'succeed') this.failures = 0;
    if (how === 'succeed' && this.kind === 'half-open' && ++this.successes >= TRIALS)
      this.#become('closed', nowMs);
    if (how === 'fail' && (this.kind === 'half-open' || ++this.failures >= THRESHOLD))
      this.#become('open', nowMs);
  }
  probe(nowMs: number): void {
    if (this.kind === 'open') this.#become('half-open', nowMs);
    else if (this.kind === 'half-open' && ++this.successes >= TRIALS) this.#become('closed', nowMs);
  }
  trip(nowMs: number): void {
    if (this.kind !== 'open') this.#become('open', nowMs);
  }
}

const event = fc.oneof(
  { weight: 6, arbitrary: fc.constant({ kind: 'enter' as const }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('succeed' as const, 'fail' as const, 'fail' as const, 'leave' as const),
      which: fc.nat(1000),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ kind: 'probe' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'trip' as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(80_000) }) },
);

test('it behaves like the table for any sequence of events', () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 120 }), (events) => {
      const { breaker, clock } = breakerAt();
      const model = new Model();
      const out: { pass: Pass; epoch: number }[] = [];
      for (const next of events) {
        model.look(clock.nowMs);
        if (next.kind === 'wait') clock.nowMs += next.ms;
        else if (next.kind === 'trip') {
          breaker.trip();
          model.trip(clock.nowMs);
        } else if (next.kind === 'probe') {
          breaker.probeSucceeded();
          model.probe(clock.nowMs);
        } else if (next.kind === 'enter') {
          const pass = breaker.enter();
          expect(pass !== null).toBe(model.enter());
          if (pass) out.push({ pass, epoch: model.epoch });
        } else if (out.length > 0) {
          const [{ pass, epoch }] = out.splice(next.which % out.length, 1) as [(typeof out)[0]];
          breaker[next.kind](pass);
          model.end(next.kind, epoch, clock.nowMs);
        }
        model.look(clock.nowMs);
        expect(breaker.state).toBe(model.kind);
      }
    }),
    { numRuns: 500 },
  );
});
