import type { Feature } from './feature.ts';
/** How many secrets of a kind are stored, and how. */
export interface SecretCounts {
  readonly total: number;
  /** Readable by anyone who can read the database. */
  readonly plain: number;
  /** Sealed by another key than the current one of this host. */
  readonly otherKey: number;
}

/** The result of sealing some rows. */
export interface SealStep {
  readonly sealed: number;
  /** Ids of the rows whose records could not be opened, which are unchanged. */
  readonly failed: readonly string[];
  /** Where to continue; null at the end. */
  readonly nextId: string | null;
}

/** Secrets that a feature stores, for `atlas secrets rotate` and `atlas doctor`. */
export interface StoredSecrets {
  /** In the plural, such as `webhook secrets`. */
  readonly name: string;
  count(): Promise<SecretCounts>;
  /** Seals the next rows under the current key, a bounded number of them, in one transaction. */
  sealStep(afterId: string | null): Promise<SealStep>;
}

/** Returns the secrets that features store, for `atlas secrets` and `atlas doctor`. */
export const storedSecretsOf = (features: Readonly<Record<string, Feature>>) =>
  Object.values(features).flatMap(({ secrets = [] }) => secrets);
