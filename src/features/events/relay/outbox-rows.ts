import {
  type AtlasEvent,
  type PostedTransfer,
  type TransferSide,
  transferData,
} from '../../../utils/event.ts';
import type { Unsent } from './domain.ts';

/** A row of the outbox: a transfer with both accounts, or any other event. The debit columns describe its key. */
export interface OutboxRow extends Omit<PostedTransfer, 'transferId'> {
  readonly id: number;
  readonly transferId: string | null;
  readonly debitVersion: number;
  readonly creditVersion: number;
  readonly createdAt: Date;
  /** Who has the accounts now, which decides whether a payee sees what the payer wrote: see `read_events`. */
  readonly debitOwner: string;
  readonly creditOwner: string;
  /** Who had the accounts when it was posted, and gets the events; null if an earlier release posted it. */
  readonly payer: string | null;
  readonly payee: string | null;
  /** Whether a payee sees nothing of what a payer of another organization wrote. */
  readonly isolates: boolean;
  readonly owner: string;
  readonly type: string;
  readonly key: string;
  readonly sequence: number;
  readonly occurredAt: Date;
  readonly data: Readonly<Record<string, unknown>>;
  readonly debitLast: number | null;
  readonly creditLast: number | null;
  readonly isDebitParked: boolean;
  readonly isCreditParked: boolean;
}

/** Returns the events of a row: two for a transfer, one for anything else. */
export function toUnsent(row: OutboxRow, withEvents: boolean): Unsent[] {
  if (row.transferId !== null) return [sideOf(row, 'debit', withEvents), sideOf(row, 'credit', withEvents)];
  const { id, owner, type, key, sequence, data } = row;
  const occurredAt = () => row.occurredAt.toISOString();
  return [
    {
      rowId: id,
      key,
      sequence,
      lastSent: row.debitLast,
      isParked: row.isDebitParked,
      event: withEvents ? { owner, type, key, sequence, occurredAt: occurredAt(), data } : null,
    },
  ];
}

function sideOf(row: OutboxRow, side: TransferSide, withEvents: boolean): Unsent {
  const isDebit = side === 'debit';
  const key = isDebit ? row.debitAccountId : row.creditAccountId;
  const sequence = isDebit ? row.debitVersion : row.creditVersion;
  return {
    rowId: row.id,
    key,
    sequence,
    lastSent: isDebit ? row.debitLast : row.creditLast,
    isParked: isDebit ? row.isDebitParked : row.isCreditParked,
    event: withEvents ? eventOf(row, side, key, sequence) : null,
  };
}

function eventOf(row: OutboxRow, side: TransferSide, key: string, sequence: number): AtlasEvent {
  const owner = side === 'debit' ? (row.payer ?? row.debitOwner) : (row.payee ?? row.creditOwner);
  const isHidden = side === 'credit' && row.isolates && row.debitOwner !== owner;
  return {
    owner,
    type: `account.${side}ed.v1`,
    key,
    sequence,
    occurredAt: row.createdAt.toISOString(),
    data: transferData(side, { ...row, transferId: row.transferId!, metadata: isHidden ? {} : row.metadata }),
  };
}
