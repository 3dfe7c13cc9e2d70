/** Something that happened, as it is told to whoever listens. `key` and `sequence` together name it for ever. */
export interface AtlasEvent {
  /** Whose it is: only this owner reads it over HTTP. */
  readonly owner: string;
  /** What happened, with the version of the schema of `data`, such as `account.debited.v1`. */
  readonly type: string;
  /** What it happened to: events of one key are told in the order of their sequence, without a gap. */
  readonly key: string;
  readonly sequence: number;
  /** RFC 3339, UTC. */
  readonly occurredAt: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** An event as JSON outside of Atlas: CloudEvents 1.0 with the extension `sequence`. */
export interface CloudEvent {
  readonly specversion: '1.0';
  readonly id: string;
  readonly source: 'atlas';
  readonly type: string;
  readonly subject: string;
  readonly time: string;
  readonly datacontenttype: 'application/json';
  /** The sequence as text, as the extension asks (CloudEvents, sequence extension, `Integer`). */
  readonly sequence: string;
  readonly sequencetype: 'Integer';
  readonly data: Readonly<Record<string, unknown>>;
}

/** The one id of an event, the same however often it is sent. */
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

/** A posted transfer as its two events need it. Amounts are whole minor units. */
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

/** The `data` of the event that a transfer is for one of its accounts. */
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
