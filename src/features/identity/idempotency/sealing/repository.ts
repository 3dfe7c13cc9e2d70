import type { Database } from '../../../../adapters/postgres/database.ts';
import { type SealContext, type Sealing, SealingError } from '../../../../utils/sealing.ts';
import type { SecretCounts, StoredSecrets } from '../../../stored-secrets.ts';

const STEP_ROWS_MAX = 100;

interface Row {
  readonly id: string;
  readonly response: string;
}

/**
 * Stored responses as secrets, so that a rotation of the key leaves none behind under the former one. `contextOf` says
 * what a record belongs to.
 */
export function sealedResponses(
  db: Database,
  sealing: Sealing,
  contextOf: (id: string) => SealContext,
): StoredSecrets {
  const current = sealing.currentPrefix ?? 'plain.';
  const reseal = ({ id, response }: Row): string | null => {
    try {
      return sealing.seal(sealing.openToSeal(response, contextOf(id)), contextOf(id));
    } catch (error) {
      if (error instanceof SealingError) return null;
      throw error;
    }
  };

  return {
    name: 'idempotent responses',
    async count() {
      const [row] = await db.query(
        (sql) => sql<[SecretCounts]>`
          SELECT count(*) AS total, count(*) FILTER (WHERE starts_with(response, 'plain.')) AS plain,
            count(*) FILTER (WHERE NOT starts_with(response, ${current}) AND NOT starts_with(response, 'plain.'))
              AS other_key
          FROM idempotent_responses`,
      );
      return row;
    },
    sealStep: (afterId) =>
      db.transaction(async (tx) => {
        const rows = await tx.query(
          (sql) => sql<Row[]>`
            SELECT id, response FROM idempotent_responses
            WHERE NOT starts_with(response, ${current}) ${afterId === null ? sql`` : sql`AND id > ${afterId}`}
            ORDER BY id LIMIT ${STEP_ROWS_MAX} FOR NO KEY UPDATE`,
        );
        const records = rows.map(reseal);
        const sealed = rows.flatMap(({ id }, i) =>
          records[i] === null ? [] : [{ id, record: records[i]! }],
        );
        if (sealed.length > 0)
          await tx.query(
            (sql) => sql`
              UPDATE idempotent_responses r SET response = n.record
              FROM unnest(${sealed.map(({ id }) => id)}::uuid[], ${sealed.map(({ record }) => record)}::text[])
                n(id, record) WHERE r.id = n.id`,
          );
        return {
          sealed: sealed.length,
          failed: rows.filter((_, i) => records[i] === null).map(({ id }) => id),
          nextId: rows.length === STEP_ROWS_MAX ? rows.at(-1)!.id : null,
        };
      }),
  };
}
