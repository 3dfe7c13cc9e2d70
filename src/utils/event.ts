/** A domain event. `key` and `sequence` together identify it permanently. */
export interface AtlasEvent {
  /** The owner, who alone can read it over HTTP. */
  readonly owner: string;
  /** Event type with the schema version of `data`, such as `account.debited.v1`. */
  readonly type: string;
  /** The entity. Events with the same key are delivered in sequence order, without gaps. */
  readonly key: string;
  readonly sequence: number;
  /** RFC 3339, UTC. */
  readonly occurredAt: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** The external JSON form of an event: CloudEvents 1.0 with the `sequence` extension. */
export interface CloudEvent {
  readonly specversion: '1.0';
  readonly id: string;
  readonly source: 'atlas';
  readonly type: string;
  readonly subject: string;
  readonly time: string;
  readonly datacontenttype: 'application/json';
  /** The sequence as a string, as the extension requires (CloudEvents, sequence extension, `Integer`). */
  readonly sequence: string;
  readonly sequencetype: 'Integer';
  readonly data: Readonly<Record<string, unknown>>;
}

/** Returns the id of an event, which is the same for every delivery. */
export function eventIdOf({ key, sequence }: Pick<AtlasEvent, 'key' | 'sequence'>): string {
  return `${key}:${sequence}`;
}

export function toCloudEvent(event: AtlasEvent): CloudEvent {
  return {
    specversion: '1.0',
    id: eventIdOf(event),
    source: 'atlas',
    type: event.type,
    subject: event.key,
    time: event.occurredAt,
    datacontenttype: 'application/json',
    sequence: String(event.sequence),
    sequencetype: 'Integer',
    data: event.data,
  };
}

/** The fields of a posted transfer that its two events carry. The amount is in minor units. */
export interface PostedTransfer {
  readonly transferId: string;
  readonly debitAccountId: string;
  readonly creditAccountId: string;
  readonly ledger: string;
  readonly amount: number;
  readonly reference: string | null;
  readonly metadata: Readonly<Record<string, string>>;
}

export type TransferSide = 'debit' | 'credit';

/** Returns the `data` of the event that a transfer causes on one of its accounts. */
export function transferData(side: TransferSide, transfer: PostedTransfer): Record<string, unknown> {
  const { transferId, debitAccountId, creditAccountId, ledger, amount, reference, metadata } = transfer;
  const isDebit = side === 'debit';
  return {
    transferId,
    accountId: isDebit ? debitAccountId : creditAccountId,
    counterpartyAccountId: isDebit ? creditAccountId : debitAccountId,
    ledger,
    amount,
    reference,
    metadata,
  };
}
