import { z } from 'zod';
import { AMOUNT_MINOR_MAX } from '../../utils/money.ts';
import { type EventKind, eventId } from '../event-kind.ts';
import { FIXED_SIDES, ROUNDINGS } from './exchange.ts';

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

const limit = z.int().min(-AMOUNT_MINOR_MAX).max(AMOUNT_MINOR_MAX).nullable();
const placement = {
  parentId: eventId('The account of which it is a part.').nullable(),
  balanceMin: limit.meta({ description: 'The least that may be available, in minor units.' }),
  balanceMax: limit.meta({ description: 'The most that the balance may be, in minor units.' }),
};
/** An account after a change. */
const changedAccount = {
  accountId: eventId('The account. The key of this event is that of its changes.'),
  ledger,
  name: z.string().nullable(),
  metadata,
  ...placement,
  debitsFrozen: z.boolean(),
  creditsFrozen: z.boolean(),
  closedAt: z.iso.datetime().nullable(),
  accountVersion: z
    .int()
    .min(0)
    .meta({ description: 'Number of transfers posted to the account before the change.' }),
};

const holdFacts = {
  holdId: eventId('The hold, which is the key of this event.'),
  debitAccountId: eventId('The account whose money it reserves.'),
  creditAccountId: eventId('The account for which it reserves it.'),
  ledger,
  amount: z.int().min(1).max(AMOUNT_MINOR_MAX).meta({ description: 'Amount of the hold in minor units.' }),
  posted: z.int().min(0).max(AMOUNT_MINOR_MAX).meta({ description: 'What its transfers have moved.' }),
  remaining: z
    .int()
    .min(0)
    .max(AMOUNT_MINOR_MAX)
    .meta({ description: 'What it still reserves: 0 if it is settled.' }),
};
const released = z
  .int()
  .min(0)
  .max(AMOUNT_MINOR_MAX)
  .meta({ description: 'What is no longer reserved, although it was not posted.' });

const exchangedAmount = (of: string) =>
  z
    .int()
    .min(1)
    .max(AMOUNT_MINOR_MAX)
    .meta({ description: `Amount in minor units of the ${of} ledger.` });

/** Events of accounts, holds, and exchanges. A transfer has one event per side. */
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
      // Events of releases before do not have these.
      parentId: placement.parentId.optional(),
      balanceMin: placement.balanceMin.optional(),
      balanceMax: placement.balanceMax.optional(),
    }),
  },
  'account.updated.v1': {
    summary: 'An account was changed.',
    keyedBy: 'the changes of the account',
    data: z.strictObject({
      ...changedAccount,
      changed: z.array(z.string()).meta({
        description: 'What was changed. The event does not say what the account accepts from others.',
      }),
    }),
  },
  'account.closed.v1': {
    summary: 'An account was closed.',
    keyedBy: 'the changes of the account',
    data: z.strictObject(changedAccount),
  },
  'account.reopened.v1': {
    summary: 'A closed account was opened again.',
    keyedBy: 'the changes of the account',
    data: z.strictObject(changedAccount),
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
  'hold.created.v1': {
    summary: 'Money of an account was reserved.',
    keyedBy: 'the hold',
    data: z.strictObject({
      ...holdFacts,
      reference: z.string().nullable(),
      metadata,
      expiresAt: z.iso.datetime().meta({ description: 'When it expires, by the clock of the database.' }),
    }),
  },
  'hold.posted.v1': {
    summary: 'A hold was posted, in full or in part.',
    keyedBy: 'the hold',
    data: z.strictObject({
      ...holdFacts,
      transferId: eventId('The transfer. It has events of its own.'),
      transferAmount: z
        .int()
        .min(1)
        .max(AMOUNT_MINOR_MAX)
        .meta({ description: 'Amount of the transfer in minor units.' }),
      released,
    }),
  },
  'hold.voided.v1': {
    summary: 'A hold was voided.',
    keyedBy: 'the hold',
    data: z.strictObject({ ...holdFacts, released }),
  },
  'hold.expired.v1': {
    summary: 'A hold expired.',
    keyedBy: 'the hold',
    data: z.strictObject({ ...holdFacts, released }),
  },
  'exchange.posted.v1': {
    summary: 'Money was exchanged between two ledgers.',
    keyedBy: 'the exchange',
    data: z.strictObject({
      exchangeId: eventId('The exchange, which is the key of this event.'),
      sourceTransferId: eventId('The transfer of the source. It has events of its own.'),
      targetTransferId: eventId('The transfer of the target. It has events of its own.'),
      debitAccountId: eventId('The account that paid the source.'),
      sourceLiquidityAccountId: eventId('The account that got the source.'),
      targetLiquidityAccountId: eventId('The account that paid the target.'),
      creditAccountId: eventId('The account that got the target.'),
      sourceLedger: ledger,
      targetLedger: ledger,
      sourceAmount: exchangedAmount('source'),
      targetAmount: exchangedAmount('target'),
      rate: z.string().meta({ description: 'Minor units of the target for a minor unit of the source.' }),
      rounding: z.enum(ROUNDINGS).meta({ description: 'How the amount that is not fixed was rounded.' }),
      fixedSide: z.enum(FIXED_SIDES).meta({ description: 'The amount that the other one follows from.' }),
      remainder: z.string().meta({ description: 'Source × rate − target, in minor units of the target.' }),
      reference: z.string().nullable(),
      metadata,
    }),
  },
} as const satisfies Record<string, EventKind>;
