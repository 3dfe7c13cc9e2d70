import { recordAudit } from '../../../adapters/postgres/audit.ts';
import type { Database } from '../../../adapters/postgres/database.ts';
import type { Queryable } from '../../../adapters/postgres/query.ts';
import type { Actor } from '../../../utils/actor.ts';
import { DEMO, DEMO_PERSON } from '../../../utils/demo-data.ts';
import { TOKEN_MINUTES, type TokenPurpose, UNCONFIRMED_DAYS, type User, type UserSecrets } from '../user.ts';

/** A transaction, which only repositories know how to use. */
export type Tx = Queryable;

/** What was done to a user, for the audit log. */
export interface UserChange {
  readonly action:
    | 'user.created'
    | 'user.confirmed'
    | 'user.updated'
    | 'user.deleted'
    | 'password.changed'
    | 'password.reset';
  readonly userId: string;
  readonly before?: object;
  readonly after?: object;
}

/** Users in PostgreSQL. Those that are handed a transaction run in it. */
export interface UserRepository {
  transaction: Database['transaction'];
  /** Does work in a transaction, and undoes it unless it is to be kept. It takes as long either way. */
  rehearse(tx: Tx, isKept: boolean, work: () => Promise<void>): Promise<void>;
  record(tx: Tx, actor: Actor, change: UserChange): Promise<void>;
  find(id: string, signal?: AbortSignal): Promise<User | null>;
  findByEmail(email: string, signal?: AbortSignal): Promise<UserSecrets | null>;
  findSecrets(id: string, signal?: AbortSignal): Promise<UserSecrets | null>;
  /** Locks the user until the transaction ends. */
  lock(tx: Tx, id: string): Promise<UserSecrets | null>;
  /** Locks the user with this address until the transaction ends. */
  lockByEmail(tx: Tx, email: string): Promise<UserSecrets | null>;
  /** Inserts a user. Returns null if there is one with this address, which it waits for. */
  insert(tx: Tx, user: UserToInsert): Promise<User | null>;
  /** Sets what is given. Returns null if there is no such user. */
  update(tx: Tx, id: string, change: UserUpdate): Promise<User | null>;
  delete(tx: Tx, id: string): Promise<User | null>;
  /** Returns whether a user has a token for a purpose that is valid. */
  hasToken(tx: Tx, userId: string, purpose: TokenPurpose): Promise<boolean>;
  /** Replaces the token of a user for a purpose. Stores nothing if there is no such user. */
  storeToken(tx: Tx, userId: string, purpose: TokenPurpose, hash: Buffer): Promise<void>;
  /** Returns the user of a token that is valid. */
  findByToken(purpose: TokenPurpose, hash: Buffer, signal?: AbortSignal): Promise<UserSecrets | null>;
  /** Deletes a token, and returns its user. Null if it is not valid: of two that use it at once, one gets null. */
  consumeToken(tx: Tx, purpose: TokenPurpose, hash: Buffer): Promise<User | null>;
  deleteTokens(tx: Tx, userId: string): Promise<void>;
  /** Inserts the person of the demo data, with a role in its organization, unless the person exists. */
  insertDemo(passwordHash: string | null): Promise<void>;
  doesExist(id: string): Promise<boolean>;
  /** Deletes expired tokens, and users who never confirmed their address, in steps. */
  forget(): Promise<void>;
}

/** A user to store. */
export interface UserToInsert extends Pick<User, 'id' | 'email' | 'name'> {
  readonly passwordHash: string | null;
  readonly isConfirmed: boolean;
}

/** What changes of a user. */
export interface UserUpdate {
  readonly name?: string;
  readonly passwordHash?: string;
  readonly isConfirmed?: true;
}

const FORGET_ROWS_MAX = 1000;

export function createUserRepository(db: Database): UserRepository {
  return {
    transaction: (work, options) => db.transaction(work, options),
    async rehearse(tx, isKept, work) {
      await tx.query((sql) => sql`SAVEPOINT rehearsal`);
      await work();
      await tx.query((sql) =>
        isKept ? sql`RELEASE SAVEPOINT rehearsal` : sql`ROLLBACK TO SAVEPOINT rehearsal`,
      );
    },
    record: (tx, actor, { action, userId: id, before, after }) =>
      recordAudit(tx, actor, {
        action,
        organization: '',
        target: { type: 'user', id },
        ...(before && { before }),
        ...(after && { after }),
      }),
    ...userReads(db),
    ...userChanges(db),
    ...tokens(db),
    ...demo(db),
  };
}

type Reads = 'find' | 'findByEmail' | 'findSecrets' | 'lock' | 'lockByEmail' | 'findByToken';
type Changes = 'insert' | 'update' | 'delete' | 'forget';
type Demo = 'insertDemo' | 'doesExist';
type Part<K extends keyof UserRepository> = Pick<UserRepository, K>;

function columnsOf(db: Database) {
  const columns = db.fragment`id, email, name, created_at, confirmed_at, password_hash IS NOT NULL AS has_password,
    totp_confirmed_at IS NOT NULL AS has_second_factor`;
  return { columns, secrets: db.fragment`${columns}, password_hash, locked_at IS NOT NULL AS is_locked` };
}

function userReads(db: Database): Part<Reads> {
  const { columns, secrets } = columnsOf(db);
  return {
    async find(id, signal) {
      const [user] = await db.query((sql) => sql<User[]>`SELECT ${columns} FROM users WHERE id = ${id}`, {
        signal,
      });
      return user ?? null;
    },
    async findByEmail(email, signal) {
      const [user] = await db.query(
        (sql) => sql<UserSecrets[]>`SELECT ${secrets} FROM users WHERE email = ${email}`,
        { signal },
      );
      return user ?? null;
    },
    async findSecrets(id, signal) {
      const [user] = await db.query(
        (sql) => sql<UserSecrets[]>`SELECT ${secrets} FROM users WHERE id = ${id}`,
        { signal },
      );
      return user ?? null;
    },
    async lock(tx, id) {
      const [user] = await tx.query(
        (sql) => sql<UserSecrets[]>`SELECT ${secrets} FROM users WHERE id = ${id} FOR NO KEY UPDATE`,
      );
      return user ?? null;
    },
    async lockByEmail(tx, email) {
      const [user] = await tx.query(
        (sql) => sql<UserSecrets[]>`SELECT ${secrets} FROM users WHERE email = ${email} FOR NO KEY UPDATE`,
      );
      return user ?? null;
    },
    async findByToken(purpose, hash, signal) {
      const [user] = await db.query(
        (sql) => sql<UserSecrets[]>`
          SELECT ${secrets} FROM users WHERE id = (
            SELECT user_id FROM one_time_tokens
            WHERE secret_hash = ${hash} AND purpose = ${purpose} AND expires_at > now())`,
        { signal },
      );
      return user ?? null;
    },
  };
}

function userChanges(db: Database): Part<Changes> {
  const { columns } = columnsOf(db);
  return {
    async insert(tx, { id, email, name, passwordHash, isConfirmed }) {
      const [user] = await tx.query(
        (sql) => sql<User[]>`
          INSERT INTO users (id, email, name, password_hash, confirmed_at)
          VALUES (${id}, ${email}, ${name}, ${passwordHash}, ${isConfirmed ? db.fragment`now()` : null})
          ON CONFLICT (email) DO NOTHING RETURNING ${columns}`,
      );
      return user ?? null;
    },
    async update(tx, id, { name, passwordHash, isConfirmed }) {
      const [user] = await tx.query(
        (sql) => sql<User[]>`
          UPDATE users SET updated_at = now(), name = coalesce(${name ?? null}, name),
            password_hash = coalesce(${passwordHash ?? null}, password_hash),
            confirmed_at = ${isConfirmed ? db.fragment`coalesce(confirmed_at, now())` : db.fragment`confirmed_at`}
          WHERE id = ${id} RETURNING ${columns}`,
      );
      return user ?? null;
    },
    async delete(tx, id) {
      const [user] = await tx.query(
        (sql) => sql<User[]>`DELETE FROM users WHERE id = ${id} RETURNING ${columns}`,
      );
      return user ?? null;
    },
    async forget() {
      const steps = [
        db.fragment`one_time_tokens WHERE secret_hash = ANY (ARRAY(SELECT secret_hash FROM one_time_tokens
          WHERE expires_at <= now() ORDER BY expires_at LIMIT ${FORGET_ROWS_MAX}))`,
        db.fragment`users WHERE confirmed_at IS NULL AND id = ANY (ARRAY(SELECT id FROM users
          WHERE confirmed_at IS NULL AND created_at < now() - make_interval(days => ${UNCONFIRMED_DAYS})
          ORDER BY created_at LIMIT ${FORGET_ROWS_MAX}))`,
      ];
      for (const rows of steps)
        for (let count = FORGET_ROWS_MAX; count === FORGET_ROWS_MAX; )
          ({ count } = await db.query((sql) => sql`DELETE FROM ${rows}`));
    },
  };
}

function tokens(
  db: Database,
): Omit<UserRepository, Reads | Changes | Demo | 'transaction' | 'rehearse' | 'record'> {
  const { columns } = columnsOf(db);
  return {
    async hasToken(tx, userId, purpose) {
      const rows = await tx.query(
        (sql) => sql`
          SELECT FROM one_time_tokens WHERE user_id = ${userId} AND purpose = ${purpose} AND expires_at > now()`,
      );
      return rows.length > 0;
    },
    async storeToken(tx, userId, purpose, hash) {
      await tx.query(
        (sql) => sql`DELETE FROM one_time_tokens WHERE user_id = ${userId} AND purpose = ${purpose}`,
      );
      await tx.query(
        (sql) => sql`
          INSERT INTO one_time_tokens (secret_hash, purpose, user_id, expires_at)
          SELECT ${hash}, ${purpose}, id, now() + make_interval(mins => ${TOKEN_MINUTES})
          FROM users WHERE id = ${userId}`,
      );
    },
    async consumeToken(tx, purpose, hash) {
      const [user] = await tx.query(
        (sql) => sql<User[]>`
          WITH used AS (
            DELETE FROM one_time_tokens
            WHERE secret_hash = ${hash} AND purpose = ${purpose} AND expires_at > now() RETURNING user_id
          ) SELECT ${columns} FROM users WHERE id = (SELECT user_id FROM used)`,
      );
      return user ?? null;
    },
    async deleteTokens(tx, userId) {
      await tx.query((sql) => sql`DELETE FROM one_time_tokens WHERE user_id = ${userId}`);
    },
  };
}

function demo(db: Database): Part<Demo> {
  const { id, email, name } = DEMO_PERSON;
  return {
    async doesExist(userId) {
      return (await db.query((sql) => sql`SELECT FROM users WHERE id = ${userId}`)).length > 0;
    },
    async insertDemo(passwordHash) {
      await db.query(
        (sql) => sql`
          WITH inserted AS (
            INSERT INTO users (id, email, name, password_hash, confirmed_at)
            VALUES (${id}, ${email}, ${name}, ${passwordHash}, now()) ON CONFLICT DO NOTHING RETURNING id
          ) INSERT INTO memberships (organization, user_id, role) SELECT ${DEMO.owner}, id, 'admin' FROM inserted`,
      );
    },
  };
}
