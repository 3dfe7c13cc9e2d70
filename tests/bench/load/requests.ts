import { accountId } from './account-id.ts';
import type { LoadOrder, LoadStream } from './order.ts';

const KEY_DIGITS = 10;
const ID_LENGTH = 36;
const BLANK_ID = '0'.repeat(ID_LENGTH);

/** Writes the next request of a stream. The bytes are valid until the next call. */
export type NextRequest = () => Buffer;

/** Prepares the requests of the streams of an order: only keys and accounts are overwritten for each. */
export function prepareRequests(order: LoadOrder): NextRequest[] {
  const ids = Buffer.from(
    Array.from({ length: order.accounts }, (_, i) => accountId(i + 1)).join(''),
    'latin1',
  );
  const writeId = (request: Buffer, at: number, account: number) =>
    ids.copy(request, at, account * ID_LENGTH, (account + 1) * ID_LENGTH);
  return order.streams.map((stream, index) => {
    if (stream.kind === 'transfer') return transfers(order, stream, index, writeId);
    if (stream.kind === 'hold and post') return transfers(order, stream, index, writeId, '/v1/holds');
    if (stream.kind === 'opening') return openings(order, stream);
    if (stream.kind === 'account') return reads(order, stream, writeId);
    const request = requestOf(order, stream, `GET ${stream.kind}`, '', []);
    return () => request;
  });
}

type WriteId = (request: Buffer, at: number, account: number) => void;

/** Prepares the request that posts a hold of a stream in full. */
export function preparePost(order: LoadOrder, stream: LoadStream): (holdId: string) => Buffer {
  const request = requestOf(order, stream, `POST /v1/holds/${BLANK_ID}/post`, '{}', [
    'Content-Type: application/json',
    'Content-Length: 2',
    `Idempotency-Key: ${BLANK_ID}`,
  ]);
  const at = request.indexOf(BLANK_ID);
  const keyAt = request.indexOf(BLANK_ID, at + ID_LENGTH);
  return (holdId) => {
    request.write(holdId, at, 'latin1');
    request.write(holdId, keyAt, 'latin1');
    return request;
  };
}

function transfers(
  order: LoadOrder,
  stream: LoadStream,
  index: number,
  writeId: WriteId,
  path = '/v1/transfers',
): NextRequest {
  const { accounts } = order;
  const prefix = `${order.run}-${index}-`;
  const body = `{"debitAccountId":"${BLANK_ID}","creditAccountId":"${BLANK_ID}","amount":100}`;
  const request = requestOf(order, stream, `POST ${path}`, body, [
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    `Idempotency-Key: ${prefix}${'0'.repeat(KEY_DIGITS)}`,
  ]);
  const keyAt = request.indexOf(prefix) + prefix.length;
  const debitAt = request.indexOf(BLANK_ID);
  const creditAt = request.indexOf(BLANK_ID, debitAt + ID_LENGTH);
  let sent = 0;
  return () => {
    const debit = Math.floor(Math.random() * accounts);
    const credit = (debit + 1 + Math.floor(Math.random() * (accounts - 1))) % accounts;
    request.write(String(sent++).padStart(KEY_DIGITS, '0'), keyAt, 'latin1');
    writeId(request, debitAt, debit);
    writeId(request, creditAt, credit);
    return request;
  };
}

function openings(order: LoadOrder, stream: LoadStream): NextRequest {
  const body = '{"ledger":"EUR","name":"bench"}';
  const request = requestOf(order, stream, 'POST /v1/accounts', body, [
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
  ]);
  return () => request;
}

function reads(order: LoadOrder, stream: LoadStream, writeId: WriteId): NextRequest {
  const request = requestOf(order, stream, `GET /v1/accounts/${BLANK_ID}`, '', []);
  const at = request.indexOf(BLANK_ID);
  return () => {
    writeId(request, at, Math.floor(Math.random() * order.accounts));
    return request;
  };
}

function requestOf(
  { url, apiKey }: LoadOrder,
  { priority }: LoadStream,
  start: string,
  body: string,
  headers: readonly string[],
): Buffer {
  const lines = [`${start} HTTP/1.1`, `Host: ${new URL(url).host}`, `Authorization: Bearer ${apiKey}`];
  if (priority !== undefined) lines.push(`Priority: ${priority}`);
  return Buffer.from([...lines, ...headers, '', body].join('\r\n'), 'latin1');
}
