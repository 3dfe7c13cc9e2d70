import { type Delivery, nextAttemptOf } from './domain.ts';

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
