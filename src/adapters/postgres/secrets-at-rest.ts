import { Sealing } from '../../utils/sealing.ts';
import type { Queryable } from './query.ts';

/** The settings that sealing depends on. */
export interface SealingSettings {
  readonly ENVIRONMENT: string;
  readonly SECRETS_KEY?: string | undefined;
  readonly SECRETS_FORMER_KEYS: readonly string[];
}

/** Opens the keys of the settings. Only development and tests may store secrets plain. */
export function openSealing(settings: SealingSettings): Sealing {
  const { ENVIRONMENT, SECRETS_KEY, SECRETS_FORMER_KEYS } = settings;
  return new Sealing({
    key: SECRETS_KEY ?? null,
    formerKeys: SECRETS_FORMER_KEYS,
    allowsPlain: ENVIRONMENT === 'development' || ENVIRONMENT === 'test',
  });
}

/**
 * Whether new secrets are stored sealed only. In a transaction, this stays so until its end: a switch
 * to sealed waits for it. Throws like `Database.query`.
 */
export async function areSecretsSealed(tx: Queryable): Promise<boolean> {
  const [row] = await tx.query(
    (sql) => sql<[{ sealed: boolean }]>`
      SELECT sealed_since IS NOT NULL AS sealed FROM secrets_at_rest FOR SHARE`,
  );
  return row.sealed;
}

/** Makes every host store new secrets sealed only, from now on. Throws like `Database.query`. */
export async function storeSecretsSealed(on: Queryable): Promise<void> {
  await on.query((sql) => sql`UPDATE secrets_at_rest SET sealed_since = now() WHERE sealed_since IS NULL`);
}
