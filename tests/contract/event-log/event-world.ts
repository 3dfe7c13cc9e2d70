import type { EventHandler, EventLog, OwnersOf } from '../../../src/adapters/event-log/event-log.ts';
import { openOutboxLog } from '../../../src/adapters/event-log/postgres-log.ts';
import { type KafkaLogOptions, openKafkaLog } from '../../../src/adapters/kafka/kafka-log.ts';
import type { Database } from '../../../src/adapters/postgres/database.ts';
import { Incarnation } from '../../../src/adapters/postgres/incarnation.ts';
import { openPostgres, type Sql } from '../../../src/adapters/postgres/postgres.ts';
import type { Queryable } from '../../../src/adapters/postgres/query.ts';
import { Relay } from '../../../src/features/events/relay/relay.ts';
import { createRelayRepository } from '../../../src/features/events/relay/repository.ts';
import { createAccountRepository } from '../../../src/features/ledger/accounts/repository.ts';
import { createTransferRepository } from '../../../src/features/ledger/transfers/repository.ts';
import type { Logger } from '../../../src/instrumentation/logger.ts';
import type { AtlasEvent } from '../../../src/utils/event.ts';
import { freshDatabase, openTestDatabase } from '../../support/database.ts';
import { sharedTestKafka } from '../../support/kafka.ts';
import { until } from '../../support/until.ts';

export type LogKind = EventLog['mode'];

/** Background work that was started. */
export interface Running {
  /** Settles like the work. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

/** An effect of a consumer, as stored in the table `effects`. */
export interface Effect {
  readonly key: string;
  readonly sequence: number;
}

let worlds = 0;

/** A ledger with its events, and a log that no other test uses. */
export class EventWorld {
  readonly sql: Sql;
  readonly db: Database;
  readonly incarnation: Incarnation;
  readonly url: string;
  readonly prefix: string;
  readonly warnings: string[] = [];
  readonly #kind: LogKind;
  readonly #brokers: string;
  readonly #logs: EventLog[] = [];
  readonly #incarnations: Incarnation[] = [];
  readonly #running = new Set<Running>();
  #requests = 0;
  readonly #owners = new Map<string, string>();

  private constructor(kind: LogKind, url: string, sql: Sql, brokers: string) {
    this.url = url;
    this.#kind = kind;
    this.sql = sql;
    this.db = openTestDatabase(url);
    this.incarnation = this.#newIncarnation();
    this.#brokers = brokers;
    this.prefix = `test-${process.pid}-${++worlds}`;
  }

  static async open(kind: LogKind): Promise<EventWorld> {
    const brokers = kind === 'kafka' ? (await sharedTestKafka()).brokers : '';
    const url = await freshDatabase();
    const sql = openPostgres({ url, connectionsMax: 8, timeoutSeconds: 20 });
    await sql`CREATE TABLE effects (no bigserial, consumer text, key text, sequence bigint)`;
    return new EventWorld(kind, url, sql, brokers);
  }

  /** Opens the log as another process would. */
  openLog(incarnation: KafkaLogOptions['incarnation'] = this.#newIncarnation()): EventLog {
    const log =
      this.#kind === 'postgresql'
        ? openOutboxLog(this.db)
        : openKafkaLog({
            access: { brokers: [this.#brokers] },
            prefix: this.prefix,
            database: this.db,
            incarnation,
            failureThreshold: 5,
            recoveryTimeoutMs: 60_000,
            onDebug: () => {},
            onTrouble: (_, text) => void this.warnings.push(text),
          });
    this.#logs.push(log);
    return log;
  }

  #newIncarnation(): Incarnation {
    const incarnation = new Incarnation(this.db);
    this.#incarnations.push(incarnation);
    return incarnation;
  }

  get repository() {
    return createRelayRepository(this.db, this.incarnation);
  }

  /** Opens accounts that anybody may pay. */
  async openAccounts(count: number, owner = 'owner'): Promise<string[]> {
    const accounts = createAccountRepository(this.db);
    const content = { ledger: 'EUR', name: null, kind: null, allowNegative: true, metadata: {} };
    const ids = Array.from({ length: count }, () => crypto.randomUUID());
    for (const id of ids) {
      await accounts.create(id, owner, { ...content, acceptsFrom: ['*'] }, { kind: 'command', id: 'test' });
      this.#owners.set(id, owner);
    }
    return ids;
  }

  /** Posts one transfer for each pair of accounts, as the owner of the first one, in one transaction. */
  async post(
    pairs: readonly (readonly [string, string])[],
    metadata: Record<string, string> = {},
  ): Promise<void> {
    const orders = pairs.map(([debitAccountId, creditAccountId]) => ({
      id: crypto.randomUUID(),
      debitAccountId,
      creditAccountId,
      amount: 1,
      reference: null,
      metadata,
    }));
    const fingerprint = '00'.repeat(32);
    const requests = orders.map((order) => {
      const owner = this.#owners.get(order.debitAccountId) ?? 'owner';
      return { owner, key: `request-${++this.#requests}`, fingerprint, atomic: false, orders: [order] };
    });
    await createTransferRepository(this.db).post(requests);
  }

  /** Writes an event to the outbox, as a feature does in the transaction of its effect. */
  async tell(key: string, sequence: number, on: Queryable = this.db): Promise<void> {
    await on.query(
      (sql) => sql`
      INSERT INTO outbox (owner, type, key, sequence, occurred_at, data)
      VALUES ('owner', 'test.told.v1', ${key}, ${sequence}, now(), ${sql.json({ key })})`,
    );
  }

  /** Creates a relay as another process would. Batches are small, so that a test has many. */
  relay(log = this.openLog(), rowsMax = 7): Relay {
    const tell = (facts: object, text: string) => void this.warnings.push(`${text} ${JSON.stringify(facts)}`);
    const logger = { info: () => {}, warn: tell, error: tell } as unknown as Logger;
    const { publisher } = log;
    return new Relay({ repository: this.repository, publisher, holder: 'test', logger, rowsMax });
  }

  /** Runs a relay until the outbox is empty. */
  async relayAll(relay = this.relay()): Promise<void> {
    const running = this.run((signal) => relay.loop.run(signal));
    await until(async () => (await this.unsent()) === 0);
    await running.stop();
  }

  async unsent(): Promise<number> {
    const [row] = await this.sql<[{ count: number }]>`SELECT count(*) FROM outbox`;
    return row.count;
  }

  /** Runs a consumer whose effect is a row for each event. */
  consume(
    consumer: string,
    handle: EventHandler = this.writer(consumer),
    log = this.openLog(),
    ownersOf?: OwnersOf,
  ): Running {
    return this.run((signal) => log.consumer.run(consumer, handle, signal, ownersOf));
  }

  writer(consumer: string): EventHandler {
    return async (events, tx) => {
      const rows = events.map(({ key, sequence }) => ({ consumer, key, sequence }));
      await tx.query((sql) => sql`INSERT INTO effects ${sql(rows)}`);
    };
  }

  /** Returns the effects of a consumer so far, in the order in which they were applied. */
  async effects(consumer: string): Promise<Effect[]> {
    return [
      ...(await this.sql<
        Effect[]
      >`SELECT key, sequence FROM effects WHERE consumer = ${consumer} ORDER BY no`),
    ];
  }

  /** Waits until a consumer has at least this many effects, and returns them. */
  async effectsOf(consumer: string, count: number): Promise<Effect[]> {
    await until(async () => (await this.effects(consumer)).length >= count);
    return this.effects(consumer);
  }

  run(work: (signal: AbortSignal) => Promise<void>): Running {
    const controller = new AbortController();
    const ended = work(controller.signal);
    ended.catch(() => {});
    const running: Running = {
      ended,
      stop: async () => {
        controller.abort();
        this.#running.delete(running);
        await ended.catch(() => {});
      },
    };
    this.#running.add(running);
    return running;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running].map((running) => running.stop()));
    for (const log of this.#logs) await log.close();
    await Promise.all(this.#incarnations.map((incarnation) => incarnation.close()));
    await Promise.all([this.sql.end({ timeout: 5 }), this.db.end({ timeout: 5 })]);
  }
}

/** Groups sequences by key, in the given order. */
export function byKey(events: readonly Pick<AtlasEvent, 'key' | 'sequence'>[]): Map<string, number[]> {
  const sequences = new Map<string, number[]>();
  for (const { key, sequence } of events) sequences.set(key, [...(sequences.get(key) ?? []), sequence]);
  return sequences;
}

/** Returns the integers from 0 to `last`. */
export function upTo(last: number): number[] {
  return Array.from({ length: last + 1 }, (_, i) => i);
}
