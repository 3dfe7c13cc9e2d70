import type { ClaimedImport, Import } from './import.ts';

type Tag<F> = (strings: TemplateStringsArray) => F;

/** A row of `imports`. */
export type ImportRow = Omit<ClaimedImport, 'createdAt' | 'finishedAt' | 'sha256'> & {
  readonly createdAt: Date;
  readonly finishedAt: Date | null;
  readonly sha256: Buffer;
};

/** The columns of an import as callers see it. */
export const importColumns = <F>(sql: Tag<F>): F =>
  sql`id, owner, file_id, file_name, format, ids, is_dry_run AS dry_run, state, failure, size_bytes, position,
    lines, posted, existed, skipped, refused, created_at, finished_at`;

/** A statement of a `WITH` that writes the event of the import in `finished`. */
export function finishedEvent<F>(sql: Tag<F>): F {
  return sql`event AS (
    INSERT INTO outbox (owner, type, key, sequence, occurred_at, data)
    SELECT owner, 'import.finished.v1', id, 1, finished_at, jsonb_build_object('importId', id, 'state', state,
      'failure', failure, 'dryRun', is_dry_run, 'lines', lines, 'posted', posted, 'existed', existed,
      'skipped', skipped, 'refused', refused) FROM finished)`;
}

export function toImport(row: ImportRow): Import {
  const { createdAt, finishedAt, sha256: _, ...rest } = row;
  return { ...rest, createdAt: createdAt.toISOString(), finishedAt: finishedAt?.toISOString() ?? null };
}
