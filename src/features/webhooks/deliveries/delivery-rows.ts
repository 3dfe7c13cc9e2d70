import { type Claim, type Delivery, nextAttemptOf, signingSecrets } from './domain.ts';

/** A delivery as it is stored. */
export interface DeliveryRow extends Omit<Delivery, 'createdAt' | 'nextAttemptAt'> {
  readonly createdAt: Date;
  readonly nextAttemptAt: Date;
  readonly leased: boolean;
}

export function toDelivery({ leased, createdAt, nextAttemptAt, ...row }: DeliveryRow): Delivery {
  return {
    ...row,
    nextAttemptAt: nextAttemptOf(row.state, leased, nextAttemptAt),
    createdAt: createdAt.toISOString(),
  };
}

/** A delivery as it is claimed. */
export type ClaimRow = Omit<Claim, 'secrets'> & {
  readonly secret: Uint8Array | null;
  readonly sealedSecret: string | null;
  readonly oldSecret: Uint8Array | null;
  readonly sealedOldSecret: string | null;
};

export function toClaim({ secret, sealedSecret, oldSecret, sealedOldSecret, ...claim }: ClaimRow): Claim {
  return { ...claim, secrets: signingSecrets(secret ?? sealedSecret!, oldSecret ?? sealedOldSecret) };
}
