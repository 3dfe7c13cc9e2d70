/** What a key opens: the live data of its organization, its test space, or the routes of operators. */
export type KeyKind = 'live' | 'test' | 'operator';

/** An API key as it is stored, without its secret. */
export interface ApiKey {
  readonly id: string;
  /** The organization that it belongs to. */
  readonly owner: string;
  readonly kind: KeyKind;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
  readonly lastUsedAt: Date | null;
}
