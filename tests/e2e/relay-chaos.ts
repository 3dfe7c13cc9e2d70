import { freePort } from '../../infra/free-port.ts';
import type { EventHandler } from '../../src/adapters/event-log/event-log.ts';
import { openKafkaLog } from '../../src/adapters/kafka/kafka-log.ts';
import type { Database } from '../../src/adapters/postgres/database.ts';
import { Incarnation } from '../../src/adapters/postgres/incarnation.ts';
import { openPostgres, type Sql } from '../../src/adapters/postgres/postgres.ts';
import { createLedgerRepository } from '../../src/features/ledger/verification/repository.ts';
import { createClient } from '../support/atlas-client.ts';
import { type Engine, freshDatabase, openTestDatabase } from '../support/database.ts';
import { startTestKafka, type TestKafka } from '../support/kafka.ts';
import { openAccount } from '../support/ledger-steps.ts';
import { readTopic } from '../support/topic.ts';
import { until } from '../support/until.ts';
import { type AtlasProcess, makeFolder, removeFolder, startAtlas } from './atlas-process.ts';
import { compareEvents, type Losses } from './relay-losses.ts';

const PREFIX = 'chaos';
const CONSUMER = 'chaos';
const ACCOUNTS = 12;
const PAUSE_MS = 10;
// The share of consumer batches that fail after their effect, which must then roll back.
const HANDLER_FAILURES = 0.05;
// Enough for the relay to have noticed that the broker is gone.
const EVENTS_WHILE_AWAY = 300;
const EVENTS_BETWEEN_KILLS = 100;
// On a busy machine a broker alone takes half a minute to restart.
const RECOVERY = { deadlineMs: 120_000 };

/** Killed in turn with SIGKILL, while transfers are posted. */
export const VICTIMS = ['the relaying worker', 'the supervisor with its workers', 'the broker'] as const;
export type Victim = (typeof VICTIMS)[number];

export interface ChaosOptions {
  readonly kills: number;
  readonly callers: number;
  readonly engine: Engine;
  readonly report: (text: string) => void;
}

/** One kill, and the time until events were sent again. */
export interface Kill {
  readonly victim: Victim;
  readonly recoveryMs: number;
}

/** What happened in a run. */
export interface ChaosResult extends Losses {
  readonly kills: readonly Kill[];
  readonly transfers: number;
  /** Requests without a response because their server was killed. They were retried under their key. */
  readonly cutOff: number;
  /** Duplicate events in the topic: their relay died before it recorded that it had sent them. */
  readonly resent: number;
  readonly handlerFailures: number;
  /** Found by the verification of the ledger. */
  readonly discrepancies: number;
}

/** Runs Atlas with two workers on real services under load, kills parts of it, and counts the losses. */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const folder = await makeFolder();
  const kafka = await startTestKafka();
  const url = await freshDatabase(options.engine);
  const sql = openPostgres({ url, connectionsMax: 4, timeoutSeconds: 30 });
  const database = openTestDatabase(url, { connectionsMax: 4, timeoutSeconds: 30 });
  const settings = {
    DATABASE_URL: url,
    KAFKA_BROKERS: kafka.brokers,
    KAFKA_TOPIC_PREFIX: PREFIX,
    API_WORKERS: '2',
    API_PORT: String(await freePort()),
  };
  const setup: Setup = {
    folder,
    settings,
    kafka,
    sql,
    database,
    atlas: await startAtlas(folder, settings),
  };
  try {
    return await killAndCompare(setup, options);
  } finally {
    await setup.atlas.end('SIGKILL');
    await kafka.stop();
    await Promise.all([sql.end({ timeout: 5 }), database.end({ timeout: 5 })]);
    await removeFolder(folder);
  }
}

interface Setup {
  readonly folder: string;
  readonly settings: Record<string, string>;
  readonly kafka: TestKafka;
  readonly sql: Sql;
  readonly database: Database;
  atlas: AtlasProcess;
}

async function killAndCompare(setup: Setup, { kills, callers, report }: ChaosOptions): Promise<ChaosResult> {
  const { sql, database, kafka } = setup;
  await sql`CREATE TABLE chaos_effects (key text, sequence bigint, times int, PRIMARY KEY (key, sequence))`;
  const load = await startLoad(setup.atlas.url, setup.atlas.key!, callers);
  const reader = startReader(database, kafka.brokers);
  const done: Kill[] = [];
  await hasSent(sql, await lastPosition(sql), EVENTS_BETWEEN_KILLS);
  for (let i = 0; i < kills; i++) {
    const victim = VICTIMS[i % VICTIMS.length]!;
    const startMs = performance.now();
    const before = await lastPosition(sql);
    await killers[victim](setup);
    await reader.restart();
    await hasSent(sql, before, EVENTS_BETWEEN_KILLS);
    const recoveryMs = Math.round(performance.now() - startMs);
    done.push({ victim, recoveryMs });
    report(`kill ${i + 1} of ${kills}: ${victim}, recovered after ${recoveryMs} ms`);
  }
  const { posted, cutOff } = await load.stop();
  report(`posted ${posted.size} transfers; reading everything back`);
  await until(async () => (await sql`SELECT FROM outbox LIMIT 1`).length === 0, RECOVERY);
  await until(async () => {
    const [row] = await sql`
      SELECT (SELECT count(*) FROM chaos_effects) >= (SELECT count(*) FROM events) AS done`;
    return row!.done;
  }, RECOVERY);
  await reader.stop();
  const sent = await readTopic(kafka.brokers, `${PREFIX}.events`);
  const { discrepancies } = await createLedgerRepository(database).verify(null, 100);
  const losses = await compareEvents(sql, sent, posted);
  return {
    ...losses,
    kills: done,
    transfers: posted.size,
    cutOff,
    resent: sent.length - new Set(sent.map(({ id }) => id)).size,
    handlerFailures: reader.failures(),
    discrepancies: discrepancies.length,
  };
}

const killers: Readonly<Record<Victim, (setup: Setup) => Promise<void>>> = {
  async 'the relaying worker'({ sql }) {
    await until(async () => (await relayPid(sql)) !== null, RECOVERY);
    process.kill((await relayPid(sql))!, 'SIGKILL');
  },
  async 'the supervisor with its workers'(setup) {
    await setup.atlas.end('SIGKILL');
    setup.atlas = await startAtlas(setup.folder, setup.settings);
  },
  async 'the broker'({ kafka, sql }) {
    await kafka.kill();
    await until(async () => (await sql`SELECT FROM outbox`).count >= EVENTS_WHILE_AWAY, RECOVERY);
    await kafka.restart();
  },
};

async function relayPid(sql: Sql): Promise<number | null> {
  const [row] = await sql<{ holder: string }[]>`SELECT holder FROM relay WHERE expires_at > now()`;
  return row ? Number(row.holder.split(':')[1]) : null;
}

async function lastPosition(sql: Sql): Promise<number> {
  const [row] = await sql<[{ lastPosition: number }]>`SELECT last_position FROM relay`;
  return row.lastPosition;
}

async function hasSent(sql: Sql, since: number, events: number): Promise<void> {
  await until(async () => (await lastPosition(sql)) >= since + events, RECOVERY);
}

/** Starts callers that post transfers, and retry each under its key until it is acknowledged. */
async function startLoad(url: string, key: string, callers: number) {
  const client = createClient(url, key);
  const accounts: string[] = [];
  for (let i = 0; i < ACCOUNTS; i++) {
    accounts.push((await openAccount(client)).id);
  }
  const posted = new Set<string>();
  let isStopped = false;
  let cutOff = 0;
  const draw = () => accounts[Math.floor(Math.random() * accounts.length)]!;
  const working = Array.from({ length: callers }, async (_, caller) => {
    for (let n = 0; !isStopped; n++) {
      const debitAccountId = draw();
      const creditAccountId =
        accounts.find((id) => id !== debitAccountId && Math.random() < 0.5) ?? accounts[0]!;
      if (debitAccountId === creditAccountId) continue;
      const body = { debitAccountId, creditAccountId, amount: 1, reference: `${caller}-${n}` };
      const id = await until(
        async () => {
          const response = await client.post('/v1/transfers', body, `chaos-${caller}-${n}`);
          if (response?.status === 201) return (response.body as { id: string }).id;
          if (response === null) cutOff++;
          else if (response.status < 429)
            throw new Error(`A transfer failed with status ${response.status}.`);
          return null;
        },
        { ...RECOVERY, pollMs: PAUSE_MS },
      );
      posted.add(id);
      await Bun.sleep(PAUSE_MS);
    }
  });
  return {
    async stop() {
      isStopped = true;
      await Promise.all(working);
      return { posted, cutOff };
    },
  };
}

/** Starts a consumer whose effect is a row that counts how often it was applied. It restarts at each kill. */
function startReader(database: Database, brokers: string) {
  let failures = 0;
  const handle: EventHandler = async (events, tx) => {
    const keys = events.map(({ key }) => key);
    const sequences = events.map(({ sequence }) => sequence);
    await tx.query(
      (sql) => sql`
      INSERT INTO chaos_effects (key, sequence, times)
      SELECT key, sequence, 1 FROM unnest(${keys}::text[], ${sequences}::bigint[]) e(key, sequence)
      ON CONFLICT (key, sequence) DO UPDATE SET times = chaos_effects.times + 1`,
    );
    if (Math.random() < HANDLER_FAILURES) {
      failures++;
      throw new Error('The consumer fails after its effect.');
    }
  };
  const start = () => {
    const incarnation = new Incarnation(database);
    const log = openKafkaLog({
      access: { brokers: [brokers] },
      prefix: PREFIX,
      database,
      incarnation,
      failureThreshold: 5,
      recoveryTimeoutMs: 2000,
      onDebug: () => {},
      onTrouble: () => {},
    });
    const controller = new AbortController();
    const run = async () => {
      while (!controller.signal.aborted) {
        await log.consumer.run(CONSUMER, handle, controller.signal).catch(() => {});
      }
    };
    const running = run();
    return async () => {
      controller.abort();
      await running;
      await Promise.all([log.close(), incarnation.close()]);
    };
  };
  let stop = start();
  return {
    failures: () => failures,
    stop: () => stop(),
    async restart() {
      await stop();
      stop = start();
    },
  };
}
