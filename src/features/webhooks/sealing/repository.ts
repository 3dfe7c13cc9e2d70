import type { Database } from '../../../adapters/postgres/database.ts';
import type { Queryable } from '../../../adapters/postgres/query.ts';
import { areSecretsSealed } from '../../../adapters/postgres/secrets-at-rest.ts';
import { type SealContext, type Sealing, SealingError } from '../../../utils/sealing.ts';
import type { SealStep, SecretCounts, StoredSecrets } from '../../stored-secrets.ts';

/** The secrets of webhooks, as they are stored. */
export interface SealingRepository extends StoredSecrets {
  /** Seals what hosts of the release before have stored plain since secrets are sealed. Does nothing without a key. */
  sealPlain(): Promise<void>;
}

interface Row {
  readonly id: string;
  readonly secret: Uint8Array | null;
  readonly sealedSecret: string | null;
  readonly oldSecret: Uint8Array | null;
  readonly sealedOldSecret: string | null;
  readonly isOldValid: boolean;
}

interface SealedRow {
  readonly id: string;
  readonly current: string;
  readonly old: string | null;
}

const STEP_ROWS_MAX = 100;

/** `contextOf` says what the records of a webhook belong to. */
export function createSealingRepository(
  db: Database,
  sealing: Sealing,
  contextOf: (webhookId: string) => SealContext,
): SealingRepository {
  // Without a key, what is plain is current.
  const current = sealing.currentPrefix ?? 'plain.';
  const isPlain = db.fragment`(secret IS NOT NULL OR old_secret IS NOT NULL)`;
  const isOther = db.fragment`
    (NOT coalesce(starts_with(sealed_secret, ${current}), true)
     OR NOT coalesce(starts_with(sealed_old_secret, ${current}), true))`;

  const sealStep = (afterId: string | null, onlyPlain: boolean): Promise<SealStep> =>
    db.transaction(async (tx) => {
      const rows = await tx.query(
        (sql) => sql<Row[]>`
          SELECT id, secret, sealed_secret, old_secret, sealed_old_secret,
            coalesce(old_secret_until > now(), false) AS is_old_valid
          FROM webhooks
          WHERE (${isPlain} ${onlyPlain ? sql`` : sql`OR ${isOther}`})
            ${afterId === null ? sql`` : sql`AND id > ${afterId}`}
          ORDER BY id LIMIT ${STEP_ROWS_MAX} FOR NO KEY UPDATE`,
      );
      const sealed: SealedRow[] = [];
      const failed: string[] = [];
      for (const row of rows) {
        const records = seal(row, sealing, contextOf(row.id));
        if (records === null) failed.push(row.id);
        else sealed.push(records);
      }
      if (sealed.length > 0) await store(tx, sealed);
      return {
        sealed: sealed.length,
        failed,
        nextId: rows.length === STEP_ROWS_MAX ? rows.at(-1)!.id : null,
      };
    });

  return {
    name: 'webhook secrets',
    async count() {
      const [row] = await db.query(
        (sql) => sql<[SecretCounts]>`
          SELECT count(*) AS total,
            count(*) FILTER (WHERE ${isPlain} OR starts_with(sealed_secret, 'plain.')
              OR starts_with(sealed_old_secret, 'plain.')) AS plain,
            count(*) FILTER (WHERE NOT ${isPlain} AND ${isOther} AND NOT starts_with(sealed_secret, 'plain.')) AS other_key
          FROM webhooks`,
      );
      return row;
    },
    sealStep: (afterId) => sealStep(afterId, false),
    async sealPlain() {
      if (sealing.keyId === null || !(await areSecretsSealed(db))) return;
      for (let afterId: string | null = null; ; ) {
        ({ nextId: afterId } = await sealStep(afterId, true));
        if (afterId === null) return;
      }
    },
  };
}

/** Returns the records of a row under the current key, or null if one of them cannot be opened. */
function seal(row: Row, sealing: Sealing, context: SealContext): SealedRow | null {
  const { id, secret, sealedSecret, oldSecret, sealedOldSecret, isOldValid } = row;
  // A host of the release before that replaces a sealed secret leaves its record behind.
  const formerRecord = secret === null ? sealedOldSecret : (sealedSecret ?? sealedOldSecret);
  const old = isOldValid ? (oldSecret ?? formerRecord) : null;
  const reseal = (stored: Uint8Array | string) =>
    sealing.seal(typeof stored === 'string' ? sealing.openToSeal(stored, context) : stored, context);
  try {
    return { id, current: reseal(secret ?? sealedSecret!), old: old === null ? null : reseal(old) };
  } catch (error) {
    if (error instanceof SealingError) return null;
    throw error;
  }
}

async function store(tx: Queryable, rows: readonly SealedRow[]): Promise<void> {
  await tx.query(
    (sql) => sql`
      UPDATE webhooks w SET secret = NULL, sealed_secret = n.current, old_secret = NULL, sealed_old_secret = n.old
      FROM unnest(${rows.map(({ id }) => id)}::uuid[], ${rows.map(({ current }) => current)}::text[],
        ${rows.map(({ old }) => old)}::text[]) n(id, current, old)
      WHERE w.id = n.id`,
  );
}
