import type { Actor, Change } from '../../utils/actor.ts';
import type { Fragment, FragmentTag, Queryable } from './query.ts';

/**
 * Writes an audit entry in the transaction of the change. Throws like the query.
 *
 * @example
 * await recordAudit(tx, actor, { action: 'api_key.revoked', organization, target: { type: 'api_key', id } });
 */
export async function recordAudit(tx: Queryable, actor: Actor, change: Change): Promise<void> {
  const { action, organization, target, before, after } = change;
  await tx.query(
    (sql) => sql`
      INSERT INTO audit_entries (organization, actor, action, target_type, target_id, before, after)
      VALUES (${organization}, ${json(actor)}::text::jsonb, ${action}, ${target.type}, ${target.id},
        ${json(before)}::text::jsonb, ${json(after)}::text::jsonb)`,
  );
}

/**
 * Returns a statement for a `WITH` that writes an entry for each row of `changed`, a query for `owner`, `id`, `before`
 * and `after`. So a change of one statement stays one statement.
 */
export function auditFragment(
  sql: FragmentTag,
  actor: Actor,
  [type, did]: readonly [targetType: string, action: string],
  changed: Fragment,
): Fragment {
  return sql`
    INSERT INTO audit_entries (organization, actor, action, target_type, target_id, before, after)
    SELECT owner, ${json(actor)}::text::jsonb, ${`${type}.${did}`}, ${type}, id::text, before, after
    FROM (${changed}) changed (owner, id, before, after)`;
}

function json(value: object | undefined): string | null {
  return value === undefined ? null : JSON.stringify(value);
}
