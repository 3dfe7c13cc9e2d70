import type { Database } from '../../../adapters/postgres/database.ts';
import { type SealContext, type Sealing, SealingError } from '../../../utils/sealing.ts';
import type { SealStep, SecretCounts, StoredSecrets } from '../../stored-secrets.ts';

/**
 * A column of sealed records. Its table has a unique `id`, and the column is null or JSON in rows without a secret.
 */
export interface SealedColumn {
  readonly name: string;
  readonly table: string;
  readonly column: string;
  /** What the record of a row belongs to. */
  contextOf(id: string): SealContext;
}

const STEP_ROWS_MAX = 100;

interface Row {
  readonly id: string;
  readonly record: string;
}

/** The records of a column as secrets, so that a rotation of the key leaves none behind under the former one. */
export function sealedColumn(
  db: Database,
  sealing: Sealing,
  { name, table, column, contextOf }: SealedColumn,
): StoredSecrets {
  const current = sealing.currentPrefix ?? 'plain.';
  const reseal = ({ id, record }: Row): string | null => {
    try {
      return sealing.seal(sealing.openToSeal(record, contextOf(id)), contextOf(id));
    } catch (error) {
      if (error instanceof SealingError) return null;
      throw error;
    }
  };

  return {
    name,
    async count() {
      const [row] = await db.query(
        (sql) => sql<[SecretCounts]>`
          SELECT count(*) AS total, count(*) FILTER (WHERE starts_with(record, 'plain.')) AS plain,
            count(*) FILTER (WHERE NOT starts_with(record, ${current}) AND NOT starts_with(record, 'plain.'))
              AS other_key
          FROM (SELECT ${sql(column)} AS record FROM ${sql(table)}) r WHERE NOT starts_with(record, '{')`,
      );
      return row;
    },
    sealStep: (afterId) =>
      db.transaction(async (tx): Promise<SealStep> => {
        const rows = await tx.query(
          (sql) => sql<Row[]>`
            SELECT id, ${sql(column)} AS record FROM ${sql(table)}
            WHERE NOT starts_with(${sql(column)}, ${current}) AND NOT starts_with(${sql(column)}, '{')
              ${afterId === null ? sql`` : sql`AND id > ${afterId}`}
            ORDER BY id LIMIT ${STEP_ROWS_MAX} FOR NO KEY UPDATE`,
        );
        const records = rows.map(reseal);
        const sealed = rows.flatMap(({ id }, i) =>
          records[i] === null ? [] : [{ id, record: records[i]! }],
        );
        if (sealed.length > 0)
          await tx.query(
            (sql) => sql`
              UPDATE ${sql(table)} t SET ${sql(column)} = n.record
              FROM unnest(${sealed.map(({ id }) => id)}::uuid[], ${sealed.map(({ record }) => record)}::text[])
                n(id, record) WHERE t.id = n.id`,
          );
        return {
          sealed: sealed.length,
          failed: rows.filter((_, i) => records[i] === null).map(({ id }) => id),
          nextId: rows.length === STEP_ROWS_MAX ? rows.at(-1)!.id : null,
        };
      }),
  };
}
