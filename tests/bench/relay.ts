import { openKafkaLog } from '../../src/adapters/kafka/kafka-log.ts';
import { Incarnation } from '../../src/adapters/postgres/incarnation.ts';
import { openPostgres, type Sql } from '../../src/adapters/postgres/postgres.ts';
import { Relay } from '../../src/features/events/relay/relay.ts';
import { createRelayRepository } from '../../src/features/events/relay/repository.ts';
import type { Logger } from '../../src/instrumentation/logger.ts';
import { until } from '../support/until.ts';
import { conditionsText, readConditions } from './conditions.ts';
import { positiveInteger, QUICK, runBench } from './support/command.ts';
import { familyCpuSeconds } from './support/cpu.ts';
import { type BenchDatabase, resetLedger, startDatabase } from './support/database.ts';
import { type BenchKafka, startKafka } from './support/kafka.ts';
import { progress } from './support/progress.ts';
import { writeReport } from './support/report.ts';
import { alignedTable, count, decimal, median } from './support/statistics.ts';
import { atLeast, atMost, type Target, targetsTable } from './targets.ts';

const OPTIONS = {
  quick: QUICK,
  rows: positiveInteger(null, 'outbox rows per batch; the product default if omitted'),
};
const ACCOUNTS = 10_000;
const TRANSFERS_AT_ONCE = 1000;
const TARGET_PER_SECOND = 15_000;
const TARGET_DRAIN_SECONDS = 30;
const WARM_UP_EVENTS = 20_000;
const PROGRESS_EVERY_MS = 1000;
const BACKLOG_MS_MAX = 1_800_000;
const POLL_MS = 20;
const silent = { info: () => {}, warn: console.error, error: console.error } as unknown as Logger;

/** One drain of a backlog, alone or while transfers are posted. */
interface Drain {
  readonly what: 'alone' | 'while posting';
  readonly events: number;
  readonly seconds: number;
  readonly perSecond: number;
  /** Of one core. */
  readonly relayShare: number;
  readonly postgresShare: number;
  readonly kafkaShare: number;
}

async function bench({
  quick,
  rows: rowsMax,
}: {
  readonly quick: boolean;
  readonly rows: number | null;
}): Promise<void> {
  const rounds = quick ? 1 : 3;
  const backlog = quick ? 20_000 : 100_000;
  const conditions = readConditions({ mode: quick ? 'quick' : 'full' });
  const database = await startDatabase();
  const kafka = await startKafka();
  const sql = openPostgres({ url: database.url, connectionsMax: 4, timeoutSeconds: 60 });
  progress('warming up');
  await measure('alone', WARM_UP_EVENTS, { database, kafka, sql, rowsMax });
  const drains: Drain[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const what of ['alone', 'while posting'] as const) {
      const drain = await measure(what, backlog, { database, kafka, sql, rowsMax });
      drains.push(drain);
      progress(
        `round ${round + 1}/${rounds}  ${what.padEnd(14)} ${count(drain.perSecond).padStart(7)} events/s`,
      );
    }
  }
  await sql.end({ timeout: 1 });
  const targets = targetsOf(drains);
  const path = await writeReport('relay', { conditions, drains, targets });
  console.log(
    `\n${conditionsText(conditions)}\n\n${drainsTable(drains)}\n\n${targetsTable(targets)}\n\nWritten to ${path}`,
  );
}

interface Setup {
  readonly database: BenchDatabase;
  readonly kafka: BenchKafka;
  readonly sql: Sql;
  readonly rowsMax: number | null;
}

let runs = 0;

async function measure(what: Drain['what'], backlog: number, setup: Setup): Promise<Drain> {
  const { database, kafka, sql, rowsMax } = setup;
  await resetLedger(sql, ACCOUNTS);
  progress(`writing a backlog of ${count(backlog)} events`);
  for (let posted = 0; posted < backlog / 2; posted += TRANSFERS_AT_ONCE) await post(sql);
  await sql`VACUUM (ANALYZE) transfers, outbox`;
  const incarnation = new Incarnation(database.database);
  const log = openKafkaLog({
    access: { brokers: [kafka.brokers] },
    prefix: `bench-${process.pid}-${++runs}`,
    database: database.database,
    incarnation,
    failureThreshold: 5,
    recoveryTimeoutMs: 60_000,
    onDebug: () => {},
    onTrouble: (error, text) => console.error(text, error),
  });
  const relay = new Relay({
    repository: createRelayRepository(database.database, incarnation),
    publisher: log.publisher,
    holder: 'bench',
    logger: silent,
    ...(rowsMax !== null && { rowsMax }),
  });
  const posting = new AbortController();
  const stopped = new AbortController();
  const posted = what === 'alone' ? Promise.resolve() : keepPosting(sql, posting.signal);
  const running = relay.loop.run(stopped.signal);
  // The topic is created and the lease acquired before the clock starts.
  await until(() => relay.stats().sent > 0, { pollMs: 1 });
  const before = { sent: relay.stats().sent, ...cpu(database, kafka) };
  const startMs = performance.now();
  let reportedMs = startMs;
  await until(
    () => {
      const { sent } = relay.stats();
      if (performance.now() - reportedMs >= PROGRESS_EVERY_MS) {
        reportedMs = performance.now();
        progress(`${what}: ${count(sent)} of ${count(backlog)} events`);
      }
      return sent >= backlog;
    },
    { deadlineMs: BACKLOG_MS_MAX, pollMs: POLL_MS, what: `${count(backlog)} events are sent` },
  );
  const seconds = (performance.now() - startMs) / 1000;
  const after = { sent: relay.stats().sent, ...cpu(database, kafka) };
  posting.abort();
  stopped.abort();
  await Promise.all([running, posted]);
  await log.close();
  const events = after.sent - before.sent;
  return {
    what,
    events,
    seconds,
    perSecond: events / seconds,
    relayShare: (after.relay - before.relay) / seconds,
    postgresShare: (after.postgres - before.postgres) / seconds,
    kafkaShare: (after.kafka - before.kafka) / seconds,
  };
}

function cpu(database: BenchDatabase, kafka: BenchKafka) {
  const { user, system } = process.cpuUsage();
  return {
    relay: (user + system) / 1e6,
    postgres: familyCpuSeconds(database.pid),
    kafka: familyCpuSeconds(kafka.pid),
  };
}

async function keepPosting(sql: Sql, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) await post(sql);
}

/** Posts a thousand transfers between random accounts, in one transaction. */
async function post(sql: Sql): Promise<void> {
  await sql`
    WITH drawn AS MATERIALIZED (
      SELECT 1 + floor(random() * ${ACCOUNTS})::int AS a, 1 + floor(random() * ${ACCOUNTS})::int AS b
        FROM generate_series(1, ${TRANSFERS_AT_ONCE})
    ), pairs AS (
      SELECT md5('a' || a)::uuid AS debit, md5('a' || CASE WHEN a = b THEN a % ${ACCOUNTS} + 1 ELSE b END)::uuid AS credit,
             row_number() OVER () AS no FROM drawn
    ), accounts AS (
      SELECT array_agg(id ORDER BY id) AS ids FROM (SELECT debit AS id FROM pairs UNION SELECT credit FROM pairs) u
    ), numbered AS (
      SELECT p.no, array_position(a.ids, p.debit) AS debit, array_position(a.ids, p.credit) AS credit FROM pairs p, accounts a
    )
    SELECT posted_at FROM accounts, post_transfers(
      ARRAY['owner'], ARRAY[gen_random_uuid()::text], ARRAY['\\x00'::bytea], ARRAY[false], accounts.ids,
      (SELECT array_agg(1 ORDER BY no) FROM numbered), (SELECT array_agg(gen_random_uuid() ORDER BY no) FROM numbered),
      (SELECT array_agg(debit ORDER BY no) FROM numbered), (SELECT array_agg(credit ORDER BY no) FROM numbered),
      (SELECT array_agg(1::bigint ORDER BY no) FROM numbered), (SELECT array_agg('invoice 4711'::text ORDER BY no) FROM numbered),
      (SELECT array_agg('{"order": "4711"}'::jsonb ORDER BY no) FROM numbered))`;
}

function drainsTable(drains: readonly Drain[]): string {
  return alignedTable(
    ['relay', 'events', 'seconds', 'events/s', 'relay CPU', 'PostgreSQL CPU', 'Kafka CPU'],
    drains.map((drain) => [
      drain.what,
      count(drain.events),
      decimal(drain.seconds, 1),
      count(drain.perSecond),
      decimal(drain.relayShare),
      decimal(drain.postgresShare),
      decimal(drain.kafkaShare),
    ]),
  );
}

function targetsOf(drains: readonly Drain[]): Target[] {
  const alone = drains.filter(({ what }) => what === 'alone');
  const perSecond = median(alone.map((drain) => drain.perSecond));
  const slowest = Math.max(...drains.map(({ seconds, events }) => (seconds / events) * 100_000));
  return [
    atLeast('outbox to Kafka, events/s', perSecond, TARGET_PER_SECOND, 0),
    atMost('time for 100,000 events, worst case', slowest, TARGET_DRAIN_SECONDS, 's', 1),
  ];
}

await runBench({
  name: 'bench:relay',
  summary: 'Measures how fast the relay moves events from the outbox to Kafka.',
  options: OPTIONS,
  run: bench,
});
