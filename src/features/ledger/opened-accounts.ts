type Tag<F> = (strings: TemplateStringsArray) => F;

/** A statement of a `WITH` that writes the event of each account in `opened`. */
export function openedEvent<F>(sql: Tag<F>): F {
  return sql`event AS (
    INSERT INTO outbox (owner, type, key, sequence, occurred_at, data)
    SELECT owner, 'account.opened.v1', id, 0, created_at, jsonb_build_object('accountId', id, 'ledger', ledger,
      'name', name, 'kind', kind, 'allowNegative', allow_negative, 'metadata', metadata, 'parentId', parent_id,
      'balanceMin', balance_min, 'balanceMax', balance_max) FROM opened)`;
}

/** What the audit log has of each account in `opened`. */
export function openedContent<F>(sql: Tag<F>): F {
  return sql`SELECT owner, id, NULL::jsonb, jsonb_build_object('ledger', ledger, 'name', name, 'kind', kind,
    'allowNegative', allow_negative, 'acceptsFrom', accepts_from, 'acceptsUpTo', accepts_up_to,
    'parentId', parent_id, 'balanceMin', balance_min, 'balanceMax', balance_max) FROM opened`;
}
