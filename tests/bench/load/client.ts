import type { Socket } from 'bun';
import { accountId } from './account-id.ts';
import { readResponse } from './read-response.ts';

/** The load to generate, as JSON in the first argument. */
export interface ClientOrder {
  readonly url: string;
  readonly apiKey: string;
  /** Prefix of every Idempotency-Key, so that no two runs share one. */
  readonly run: string;
  readonly callers: number;
  readonly accounts: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

/** The result, as JSON on standard output. */
export interface ClientReport {
  /** 201 responses over the whole run including warm-up: the number of transfers in the database. */
  readonly created: number;
  readonly createdPerSecond: number;
  /** Other responses by status. Any of them invalidates the measurement. */
  readonly others: Readonly<Record<string, number>>;
  readonly medianMs: number;
  readonly p99Ms: number;
}

interface Caller {
  readonly request: Buffer;
  sentMs: number;
  rest: Buffer | null;
  isDone: boolean;
}

const KEY_DIGITS = 10;
const ID_LENGTH = 36;
const CREATED = 201;

// oha sends the same headers with every request, but each transfer needs a new Idempotency-Key. Hence this client:
// closed-loop callers on keep-alive sockets, each with one request whose key and accounts are overwritten.
const order = JSON.parse(process.argv[2]!) as ClientOrder;
const { hostname, port, host } = new URL(order.url);
const ids = Buffer.from(
  Array.from({ length: order.accounts }, (_, i) => accountId(i + 1)).join(''),
  'latin1',
);
const blankId = '0'.repeat(ID_LENGTH);
const body = `{"debitAccountId":"${blankId}","creditAccountId":"${blankId}","amount":100}`;
const template = Buffer.from(
  [
    'POST /v1/transfers HTTP/1.1',
    `Host: ${host}`,
    `Authorization: Bearer ${order.apiKey}`,
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    `Idempotency-Key: ${order.run}-${'0'.repeat(KEY_DIGITS)}`,
    '',
    body,
  ].join('\r\n'),
  'latin1',
);
const keyAt = template.indexOf(`${order.run}-`) + order.run.length + 1;
const debitAt = template.indexOf(blankId);
const creditAt = template.indexOf(blankId, debitAt + ID_LENGTH);

const others: Record<string, number> = {};
const durationsMs: number[] = [];
let requests = 0;
let created = 0;
let open = 0;
let finish: () => void = () => {};
const finished = new Promise<void>((done) => {
  finish = done;
});
let countFromMs = 0;
let countUntilMs = 0;

function send(socket: Socket<Caller>): void {
  const { request } = socket.data;
  const debit = Math.floor(Math.random() * order.accounts);
  const credit = (debit + 1 + Math.floor(Math.random() * (order.accounts - 1))) % order.accounts;
  request.write(String(requests++).padStart(KEY_DIGITS, '0'), keyAt, 'latin1');
  ids.copy(request, debitAt, debit * ID_LENGTH, (debit + 1) * ID_LENGTH);
  ids.copy(request, creditAt, credit * ID_LENGTH, (credit + 1) * ID_LENGTH);
  socket.data.sentMs = performance.now();
  if (socket.write(request) !== request.length) fail('a socket accepted only part of a request');
}

function receive(socket: Socket<Caller>, bytes: Buffer): void {
  const caller = socket.data;
  const arrived = caller.rest === null ? bytes : Buffer.concat([caller.rest, bytes]);
  const status = readResponse(arrived);
  // Bun reuses the memory of its buffers, so an incomplete response must be copied.
  caller.rest = status === null ? Buffer.from(arrived) : null;
  if (status === null) return;
  const nowMs = performance.now();
  if (status !== CREATED) others[status] = (others[status] ?? 0) + 1;
  else {
    created++;
    if (nowMs >= countFromMs && nowMs < countUntilMs) durationsMs.push(nowMs - caller.sentMs);
  }
  if (nowMs < countUntilMs) {
    send(socket);
    return;
  }
  caller.isDone = true;
  socket.end();
  if (--open === 0) finish();
}

function fail(reason: string): never {
  console.error(`load client: ${reason}`);
  process.exit(1);
}

const sockets: Socket<Caller>[] = [];
while (open < order.callers) {
  open++;
  sockets.push(
    await Bun.connect<Caller>({
      hostname,
      port: Number(port),
      data: { request: Buffer.from(template), sentMs: 0, rest: null, isDone: false },
      socket: {
        data: receive,
        error: (_, error) => fail(error.message),
        close: ({ data }) => {
          if (!data.isDone) fail('Atlas closed a connection');
        },
      },
    }),
  );
}
countFromMs = performance.now() + order.warmUpSeconds * 1000;
countUntilMs = countFromMs + order.seconds * 1000;
for (const socket of sockets) send(socket);
await finished;

durationsMs.sort((a, b) => a - b);
const report: ClientReport = {
  created,
  createdPerSecond: durationsMs.length / order.seconds,
  others,
  medianMs: durationsMs[Math.floor(durationsMs.length * 0.5)] ?? 0,
  p99Ms: durationsMs[Math.floor(durationsMs.length * 0.99)] ?? 0,
};
console.log(JSON.stringify(report));
