import type { LoadReport } from './load/order.ts';
import { type LoadRequest, runLoad } from './load/run-load.ts';
import { definePart } from './part.ts';
import type { Rounds } from './plan.ts';
import { type BenchDatabase, startDatabase } from './support/database.ts';
import { inRepository, type Server, startServer } from './support/processes.ts';
import { progress } from './support/progress.ts';
import { alignedTable, count, decimal, median } from './support/statistics.ts';
import { atMost } from './targets.ts';

const ACCOUNTS = 10_000;
const CALLERS = 64;
const WARM_UP_SECONDS = 1;
const SIGN_INS_PER_SECOND = 10;
const PEOPLE = 20;
const PASSWORD = 'password of the benchmark';

const VARIANTS = { without: 'payments', with: `payments and ${SIGN_INS_PER_SECOND} sign-ins/s` } as const;
type Variant = keyof typeof VARIANTS;
const variants = Object.keys(VARIANTS) as Variant[];

/** P95 of payments in milliseconds, by round, and what else was counted in all rounds. */
interface SignInsResult {
  readonly ratePerSecond: number;
  readonly p95Ms: Readonly<Record<Variant, readonly number[]>>;
  readonly good: Readonly<Record<Variant, number>>;
  readonly signedIn: number;
  readonly notSignedIn: number;
}

const personOf = (n: number) => `person${n % PEOPLE}@example.com`;

async function createPeople({ sql }: BenchDatabase): Promise<void> {
  const hash = await Bun.password.hash(PASSWORD, { algorithm: 'argon2id', memoryCost: 19_456, timeCost: 2 });
  for (let n = 0; n < PEOPLE; n++)
    await sql`
      INSERT INTO users (id, email, password_hash, confirmed_at)
      VALUES (${Bun.randomUUIDv7()}, ${personOf(n)}, ${hash}, now())`;
}

/** Signs people in at a steady rate until it is stopped, and counts the responses. */
function signPeopleIn({ url }: Server) {
  const counts = { signedIn: 0, notSignedIn: 0 };
  const pending = new Set<Promise<void>>();
  let sent = 0;
  const signIn = async (email: string) => {
    const { status } = await fetch(`${url}/v1/sessions`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ email, password: PASSWORD }),
    });
    if (status === 201) counts.signedIn++;
    else counts.notSignedIn++;
  };
  const timer = setInterval(() => {
    const one = signIn(personOf(sent++)).finally(() => pending.delete(one));
    pending.add(one);
  }, 1000 / SIGN_INS_PER_SECOND);
  return {
    counts,
    async stop() {
      clearInterval(timer);
      await Promise.all(pending);
    },
  };
}

async function measure({ rounds, seconds }: Rounds): Promise<SignInsResult> {
  const database = await startDatabase();
  await createPeople(database);
  const env = {
    ENVIRONMENT: 'production',
    DATABASE_URL: database.url,
    PUBLIC_URL: 'https://bench.example',
    API_PORT: '0',
    API_WORKERS: '2',
  };
  const atlas = await startServer([process.execPath, inRepository('src/main.ts'), 'serve'], { env });
  const request = {
    url: atlas.url,
    accounts: ACCOUNTS,
    streams: [{ name: 'payments', kind: 'transfer', share: 1 }],
    callers: CALLERS,
    warmUpSeconds: WARM_UP_SECONDS,
    seconds,
    processes: { atlas: atlas.pid, postgres: database.pid },
  } as const satisfies Omit<LoadRequest, 'ratePerSecond'>;
  const run = (ratePerSecond: number | null): Promise<LoadReport> =>
    runLoad(database, { ...request, ratePerSecond });
  await run(null);
  const ratePerSecond = Math.round((await run(null)).all.good / 2);

  const p95Ms: Record<Variant, number[]> = { without: [], with: [] };
  const good: Record<Variant, number[]> = { without: [], with: [] };
  const counts = { signedIn: 0, notSignedIn: 0 };
  for (let round = 0; round < rounds; round++) {
    for (const i of variants.keys()) {
      const variant = variants[(i + round) % variants.length]!;
      const people = variant === 'with' ? signPeopleIn(atlas) : null;
      const { all } = await run(ratePerSecond);
      await people?.stop();
      counts.signedIn += people?.counts.signedIn ?? 0;
      counts.notSignedIn += people?.counts.notSignedIn ?? 0;
      p95Ms[variant].push(all.admitted.p95Ms ?? Number.NaN);
      good[variant].push(all.good);
    }
    progress(`sign-ins: round ${round + 1}/${rounds}`);
  }
  return {
    ratePerSecond,
    p95Ms,
    good: { without: median(good.without), with: median(good.with) },
    ...counts,
  };
}

/** Median of the ratios of each round. */
function ratioOf({ p95Ms }: SignInsResult): number {
  return median(p95Ms.with.map((value, round) => value / p95Ms.without[round]!));
}

/** What people who sign in cost those who pay. */
export const signIns = definePart({
  title: 'Sign-ins',
  note: `POST /v1/transfers at half of what 64 callers reach, evenly spaced, with and without ${SIGN_INS_PER_SECOND} times POST /v1/sessions a second of
${PEOPLE} people, in turn in each round. Two workers of atlas serve, PostgreSQL and both clients share the cores.`,
  measure: ({ plan }) => measure(plan['sign-ins']),
  tables: (result) => [
    alignedTable(
      ['load', 'payments due/s', 'good/s', 'P95 ms', 'range'],
      variants.map((variant) => [
        VARIANTS[variant],
        count(result.ratePerSecond),
        count(result.good[variant]),
        decimal(median(result.p95Ms[variant])),
        `${decimal(Math.min(...result.p95Ms[variant]))}–${decimal(Math.max(...result.p95Ms[variant]))}`,
      ]),
    ),
    alignedTable(
      ['sign-ins', 'in all rounds'],
      [
        ['signed in', count(result.signedIn)],
        ['refused or failed', count(result.notSignedIn)],
      ],
    ),
  ],
  targets: (result) => [atMost('P95 of payments with sign-ins ÷ without', ratioOf(result), 1.2, '')],
});
