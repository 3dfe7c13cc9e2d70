import { recordAudit } from '../../../adapters/postgres/audit.ts';
import type { Database, QueryOptions } from '../../../adapters/postgres/database.ts';
import { lockName } from '../../../adapters/postgres/name-lock.ts';
import type { Queryable } from '../../../adapters/postgres/query.ts';
import type { Expected } from '../../../http/etag.ts';
import type { Actor } from '../../../utils/actor.ts';
import { canonicalJson } from '../../../utils/canonical-json.ts';
import { Turns } from '../../../utils/turns.ts';
import {
  type AccountTemplate,
  type NewTemplate,
  TEMPLATES_MAX,
  type TemplateSummary,
} from '../account-template.ts';

/** Why a template was not saved. */
export type SaveRefusal = 'precondition_required' | 'precondition_failed' | 'too_many_account_templates';

/** Templates of accounts in PostgreSQL. Every method is limited to one owner. */
export interface TemplateRepository {
  /** Saves a template. `expected`: the versions that it may replace; undefined if there must be none. */
  save(
    owner: string,
    template: NewTemplate,
    expected: Expected | undefined,
    actor: Actor,
    signal?: AbortSignal,
  ): Promise<{ template: AccountTemplate; isNew: boolean } | { refusal: SaveRefusal }>;
  find(owner: string, name: string, options?: QueryOptions): Promise<AccountTemplate | null>;
  /** Lists templates by name, after one. */
  list(owner: string, after: string | null, limit: number, signal?: AbortSignal): Promise<TemplateSummary[]>;
  remove(
    owner: string,
    name: string,
    expected: Expected,
    actor: Actor,
    signal?: AbortSignal,
  ): Promise<'deleted' | 'account_template_not_found' | 'precondition_failed'>;
}

type Row<T> = Omit<T, 'createdAt' | 'changedAt'> & { readonly createdAt: Date; readonly changedAt: Date };

const LOCK = 'account templates';
const includes = (expected: Expected, version: number) => expected === 'any' || expected.includes(version);

export function createTemplateRepository(db: Database): TemplateRepository {
  return { ...createReading(db), ...createWriting(db) };
}

function createReading(db: Database): Pick<TemplateRepository, 'find' | 'list'> {
  return {
    find: (owner, name, options) => findTemplate(db, owner, name, options),
    async list(owner, after, limit, signal) {
      const rows = await db.query(
        (sql) => sql<Row<TemplateSummary>[]>`
          SELECT name, title, version, json_array_length(accounts) AS account_count, created_at, changed_at
          FROM account_templates WHERE owner = ${owner} ${after === null ? sql`` : sql`AND name > ${after}`}
          ORDER BY name LIMIT ${limit}`,
        { signal },
      );
      return rows.map(toDated);
    },
  };
}

function createWriting(db: Database): Pick<TemplateRepository, 'save' | 'remove'> {
  // Writes of an owner take the same lock.
  const turns = new Turns();
  const inTurn = <T>(owner: string, work: (tx: Queryable) => Promise<T>, signal: AbortSignal | undefined) =>
    turns.run(
      owner,
      () =>
        db.transaction(
          async (tx) => {
            await lockName(tx, LOCK, owner);
            return work(tx);
          },
          { signal },
        ),
      signal,
    );
  const record = (
    tx: Queryable,
    owner: string,
    name: string,
    actor: Actor,
    did: 'created' | 'updated' | 'deleted',
    values: { before?: object; after?: object },
  ) => {
    const target = { type: 'account_template', id: name };
    return recordAudit(tx, actor, {
      action: `account_template.${did}`,
      organization: owner,
      target,
      ...values,
    });
  };
  return {
    save: (owner, template, expected, actor, signal) =>
      inTurn(
        owner,
        async (tx) => {
          const { name, title, accounts } = template;
          const found = await findTemplate(db, owner, name, { tx });
          const contentOf = (one: NewTemplate) => canonicalJson([one.title, one.accounts]);
          // Sent again, or by two at once: what was asked for has been done.
          if (found && contentOf(found) === contentOf(template)) return { template: found, isNew: false };
          if (found && expected === undefined) return { refusal: 'precondition_required' };
          if (expected !== undefined && !(found && includes(expected, found.version)))
            return { refusal: 'precondition_failed' };
          if (!found && (await countTemplates(tx, owner)) >= TEMPLATES_MAX)
            return { refusal: 'too_many_account_templates' };
          await tx.query(
            (sql) => sql`
              INSERT INTO account_templates AS t (owner, name, version, title, accounts)
              VALUES (${owner}, ${name}, 1, ${title}, ${JSON.stringify(accounts)}::text::json)
              ON CONFLICT (owner, name) DO UPDATE SET version = t.version + 1, title = excluded.title,
                accounts = excluded.accounts, changed_at = clock_timestamp()`,
          );
          const saved = (await findTemplate(db, owner, name, { tx }))!;
          const before = found ? { before: contentFor(found) } : {};
          const did = found ? 'updated' : 'created';
          await record(tx, owner, name, actor, did, { ...before, after: contentFor(saved) });
          return { template: saved, isNew: found === null };
        },
        signal,
      ),
    remove: (owner, name, expected, actor, signal) =>
      inTurn(
        owner,
        async (tx) => {
          const found = await findTemplate(db, owner, name, { tx });
          if (found === null) return 'account_template_not_found';
          if (!includes(expected, found.version)) return 'precondition_failed';
          await tx.query(
            (sql) => sql`DELETE FROM account_templates WHERE owner = ${owner} AND name = ${name}`,
          );
          await record(tx, owner, name, actor, 'deleted', { before: contentFor(found) });
          return 'deleted';
        },
        signal,
      ),
  };
}

async function findTemplate(
  db: Database,
  owner: string,
  name: string,
  options?: QueryOptions,
): Promise<AccountTemplate | null> {
  const [row] = await db.query(
    (sql) => sql<Row<AccountTemplate>[]>`
      SELECT name, title, version, accounts, created_at, changed_at FROM account_templates
      WHERE owner = ${owner} AND name = ${name}`,
    options,
  );
  return row ? toDated(row) : null;
}

async function countTemplates(tx: Queryable, owner: string): Promise<number> {
  const [row] = await tx.query(
    (sql) => sql<[{ count: number }]>`SELECT count(*) AS count FROM account_templates WHERE owner = ${owner}`,
  );
  return row.count;
}

/** What the audit log has of a template. */
function contentFor({ title, version, accounts }: AccountTemplate): object {
  return { title, version, accounts: accounts.length };
}

function toDated<T extends { readonly createdAt: Date; readonly changedAt: Date }>(row: T) {
  return { ...row, createdAt: row.createdAt.toISOString(), changedAt: row.changedAt.toISOString() };
}
