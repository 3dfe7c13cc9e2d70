import { z } from 'zod';
import { AMOUNT_MINOR_MAX } from '../../utils/money.ts';
import { type EventKind, eventId } from '../event-kind.ts';

const metadata = z.record(z.string(), z.string()).meta({ description: 'Metadata set by the caller.' });
const ledger = z
  .string()
  .regex(/^[A-Z]{3}$/)
  .meta({ description: 'Currency of the ledger (ISO 4217).' });

const transferSide = z.strictObject({
  transferId: eventId('The transfer. The other account has a separate event.'),
  accountId: eventId('The account, which is the key of this event.'),
  counterpartyAccountId: eventId('The account on the other side of the transfer.'),
  ledger,
  amount: z.int().min(1).max(AMOUNT_MINOR_MAX).meta({ description: 'Amount in minor units, such as cents.' }),
  reference: z.string().nullable(),
  metadata,
});

/** Events of accounts. A transfer has one event per side. */
export const ledgerEventTypes = {
  'account.opened.v1': {
    summary: 'An account was opened.',
    keyedBy: 'the account',
    data: z.strictObject({
      accountId: eventId('The account.'),
      ledger,
      name: z.string().nullable(),
      kind: z.enum(['asset', 'liability', 'equity', 'income', 'expense']).nullable(),
      allowNegative: z.boolean().meta({ description: 'Whether the balance may fall below zero.' }),
      metadata,
    }),
  },
  'account.debited.v1': {
    summary: 'An account was debited by a transfer.',
    keyedBy: 'the account',
    data: transferSide,
  },
  'account.credited.v1': {
    summary: 'An account was credited by a transfer.',
    keyedBy: 'the account',
    data: transferSide,
  },
} as const satisfies Record<string, EventKind>;
