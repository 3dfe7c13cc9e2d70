import type { Socket } from 'bun';
import { cpuSeconds, familyCpuSeconds } from '../support/cpu.ts';
import type { LoadOrder, LoadReport } from './order.ts';
import { readId, readResponse } from './read-response.ts';
import { preparePost, prepareRequests } from './requests.ts';
import { Tally } from './tally.ts';

interface Caller {
  /** The stream of the request in flight; -1 if there is none. */
  stream: number;
  /** When it was due, in milliseconds since the start of the run. */
  dueMs: number;
  rest: Buffer | null;
  /** Whether it is a hold, which is posted next. */
  isHold: boolean;
}

// oha sends the same headers with every request, but each transfer needs a new Idempotency-Key. Hence this client: raw
// keep-alive sockets, in a closed loop or at a fixed rate.
const order = JSON.parse(process.argv[2]!) as LoadOrder;
const { hostname, port } = new URL(order.url);
const { streams, ratePerSecond } = order;
const next = prepareRequests(order);
const posts = streams.map((stream) => preparePost(order, stream));
const tallies = streams.map(() => new Tally(order.warmUpSeconds, order.seconds));
const whole = new Tally(order.warmUpSeconds, order.seconds);
const statuses: Record<string, number> = {};
const idle: Socket<Caller>[] = [];
const arrived = { served: 0, refused: 0 };

const CONNECT_AT_ONCE = 100;
/** Sends in one turn of the loop; then responses are read. */
const SENDS_PER_TURN = 64;
/** What could not be sent this long after it was due is not sent: the client would only measure itself. */
const LAG_MS_MAX = 20;
const DRAIN_MS_MAX = 40_000;
const fromMs = order.warmUpSeconds * 1000;
const untilMs = fromMs + order.seconds * 1000;
let zeroMs = 0;
let inFlight = 0;
let created = 0;
let unknown = 0;
let handled = 0;
let isMeasuring = false;
let isOver = false;
let finish: () => void = () => {};
const finished = new Promise<void>((done) => {
  finish = done;
});

const clock = () => performance.now() - zeroMs;

function streamOf(random: number): number {
  let rest = random;
  for (let i = 0; i < streams.length - 1; i++) {
    rest -= streams[i]!.share;
    if (rest < 0) return i;
  }
  return streams.length - 1;
}

function send(socket: Socket<Caller>, stream: number, dueMs: number, post?: Buffer): void {
  socket.data.isHold = post === undefined && streams[stream]!.kind === 'hold and post';
  socket.data.stream = stream;
  socket.data.dueMs = dueMs;
  tallies[stream]!.due(dueMs, true);
  whole.due(dueMs, true);
  inFlight++;
  const request = post ?? next[stream]!();
  if (socket.write(request) !== request.length) fail('a socket accepted only part of a request');
}

function receive(socket: Socket<Caller>, bytes: Buffer): void {
  const caller = socket.data;
  const whole = caller.rest === null ? bytes : Buffer.concat([caller.rest, bytes]);
  const status = readResponse(whole);
  // Bun reuses the memory of its buffers, so an incomplete response must be copied.
  caller.rest = status === null ? Buffer.from(whole) : null;
  if (status === null) return;
  const { stream, isHold } = caller;
  const isDone = !isHold || status !== 201;
  if (!isDone) inFlight++;
  settle(caller, status);
  if (!isDone) inFlight--;
  // What is held is posted even after the end, so that each pair is complete.
  if (!isDone) send(socket, stream, clock(), posts[stream]!(readId(whole)));
  else use(socket);
}

/** Sends the next request of a closed loop; in an open loop, the socket waits until one is due. */
function use(socket: Socket<Caller>): void {
  if (ratePerSecond !== null || isOver) idle.push(socket);
  else send(socket, streamOf(Math.random()), clock());
}

function settle(caller: Caller, status: number): void {
  const isServed = status >= 200 && status < 300;
  statuses[status || 'none'] = (statuses[status || 'none'] ?? 0) + 1;
  if (status === 201 && !caller.isHold) created++;
  if (!isServed && status !== 429) unknown++;
  if (isMeasuring && isServed) arrived.served++;
  if (isMeasuring && status === 429) arrived.refused++;
  const nowMs = clock();
  tallies[caller.stream]!.responded(caller.dueMs, nowMs, status);
  whole.responded(caller.dueMs, nowMs, status);
  caller.stream = -1;
  if (--inFlight === 0 && isOver) finish();
}

/** Sends what is due. What cannot be sent in time is counted as not sent. */
function pace(rate: number): void {
  if (isOver) return;
  const nowMs = clock();
  const due = Math.floor((Math.min(nowMs, untilMs) * rate) / 1000);
  let sends = 0;
  for (; handled < due && sends < SENDS_PER_TURN; handled++) {
    const dueMs = (handled * 1000) / rate;
    const isTooLate = nowMs - dueMs > LAG_MS_MAX;
    const socket = isTooLate ? undefined : idle.pop();
    if (!isTooLate && socket === undefined) break;
    if (socket === undefined) notSent(dueMs);
    else {
      send(socket, streamOf(Math.random()), dueMs);
      sends++;
    }
  }
  if (sends === SENDS_PER_TURN) setImmediate(pace, rate);
  else setTimeout(pace, 1, rate);
}

function notSent(dueMs: number): void {
  tallies[streamOf(Math.random())]!.due(dueMs, false);
  whole.due(dueMs, false);
}

function fail(reason: string): never {
  console.error(`load client: ${reason}`);
  process.exit(1);
}

function connect(): Promise<Socket<Caller>> {
  return Bun.connect<Caller>({
    hostname,
    port: Number(port),
    data: { stream: -1, dueMs: 0, rest: null, isHold: false },
    socket: {
      data: receive,
      error: (_, error) => fail(error.message),
      close: (socket) => {
        if (isOver) return;
        // Whether the request took effect is unknown.
        if (socket.data.stream >= 0) settle(socket.data, 0);
        else idle.splice(idle.indexOf(socket), 1);
        void connect().then(use);
      },
    },
  });
}

function cpuNow(): Record<string, number> {
  const families = Object.entries(order.processes).map(([name, pid]) => [name, familyCpuSeconds(pid)]);
  return { ...Object.fromEntries(families), client: cpuSeconds(process.pid) };
}

while (idle.length < order.callers) {
  const more = Math.min(CONNECT_AT_ONCE, order.callers - idle.length);
  idle.push(...(await Promise.all(Array.from({ length: more }, connect))));
}
zeroMs = performance.now();
if (ratePerSecond === null) for (const socket of idle.splice(0)) use(socket);
else pace(ratePerSecond);
await Bun.sleep(fromMs - clock());
const before = cpuNow();
const beforeMs = clock();
isMeasuring = true;
await Bun.sleep(untilMs - clock());
isMeasuring = false;
const measuredSeconds = (clock() - beforeMs) / 1000;
const after = cpuNow();
isOver = true;
if (ratePerSecond !== null)
  for (; handled < (untilMs * ratePerSecond) / 1000; handled++) notSent((handled * 1000) / ratePerSecond);
if (inFlight > 0) await Promise.race([finished, Bun.sleep(DRAIN_MS_MAX)]);

const shares = Object.keys(after).map((name) => [name, (after[name]! - before[name]!) / measuredSeconds]);
const report: LoadReport = {
  streams: streams.map(({ name }, i) => tallies[i]!.report(name)),
  all: whole.report('all'),
  created,
  unknown: unknown + inFlight,
  statuses: inFlight > 0 ? { ...statuses, none: inFlight } : statuses,
  arrived: { served: arrived.served / measuredSeconds, refused: arrived.refused / measuredSeconds },
  shares: Object.fromEntries(shares),
};
console.log(JSON.stringify(report));
process.exit();
