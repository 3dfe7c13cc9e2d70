import type { ArrivingChunks, Exchange } from '../envelope/exchange.ts';
import { openSocketBytes, peerOf, type SocketBytes } from '../utils/socket-bytes.ts';

const CHECK_MS = 100;
// A check that is later than that was held up by a turn of the event loop in which others waited.
const LATE_MS = 50;
const IDLE_CHECKS_MAX = 20;
const WINDOW_MS = 1000;
// A sender that has a few bytes at a time, and puts each few into a chunk, wastes some.
const WASTE_BYTES_MAX = 1_048_576;
const WASTE_RATIO_MAX = 4;
const REFUSED_MS = 30_000;
const REFUSED_MAX = 1024;
const SEARCHES_MAX = 3;
// A search takes as long as this process has connections, so the next one waits for this many times as long.
const SEARCH_PAUSES = 20;

/**
 * Ends bodies in chunks that cost more than they hold. A chunk may have leading zeros and extensions without end: the
 * server reads megabytes of them from one connection in one turn of the event loop, and nothing of it is seen here. So
 * this compares what was read from the connections of a sender with what arrived of its bodies. A sender that wastes
 * much is refused further bodies in chunks for a while. Slow senders waste nothing.
 */
export class ChunkedBodies {
  // Bounded by the permits, and by those of the last second.
  readonly #senders = new Map<string, Sender>();
  /** Until when a sender is refused. Bounded by REFUSED_MAX. */
  readonly #refusedUntilMs = new Map<string, number>();
  readonly #nowMs: () => number;
  readonly #sockets: SocketBytes | null;
  #searchAtMs = 0;
  #timer: ReturnType<typeof setInterval> | null = null;
  #checkedMs = 0;
  #idleChecks = 0;

  /** `sockets` is null if nothing can be measured here. */
  constructor(nowMs: () => number, sockets: SocketBytes | null = openSocketBytes()) {
    this.#nowMs = nowMs;
    this.#sockets = sockets;
  }

  /**
   * Notes that a body, from now on `exchange.chunks`, starts to arrive. Returns false if it must not. `refuse` makes the
   * error if it must end.
   */
  start(exchange: Exchange, refuse: () => Error): boolean {
    const name = senderOf(exchange);
    if (this.#isRefused(name)) return false;
    const sender = this.#senders.get(name) ?? new Sender(this.#nowMs());
    this.#senders.set(name, sender);
    exchange.chunks = new ChunkedBody(exchange, sender, refuse);
    this.#watch();
    return true;
  }

  /** Called every 100 ms by a timer while bodies arrive. */
  check(): void {
    this.#idleChecks = this.#senders.size === 0 ? this.#idleChecks + 1 : 0;
    if (this.#idleChecks > IDLE_CHECKS_MAX) this.#unwatch();
    if (this.#sockets !== null) this.#search(this.#sockets);
    const nowMs = this.#nowMs();
    const isLate = nowMs - this.#checkedMs >= CHECK_MS + LATE_MS;
    this.#checkedMs = nowMs;
    for (const [name, sender] of this.#senders) {
      sender.isLate = isLate;
      for (const body of sender.bodies) body.measure();
      if (sender.isWasteful) this.#end(name, sender, nowMs);
      if (nowMs - sender.sinceMs < WINDOW_MS) continue;
      if (sender.bodies.size === 0) this.#senders.delete(name);
      sender.restart(nowMs);
    }
  }

  #search(sockets: SocketBytes): void {
    const startMs = this.#nowMs();
    if (startMs < this.#searchAtMs) return;
    const sought = new Map<string, ChunkedBody>();
    for (const { bodies } of this.#senders.values())
      for (const body of bodies) if (body.isSought()) sought.set(body.peer, body);
    if (sought.size === 0) return;
    for (const [peer, fd] of sockets.find(new Set(sought.keys()))) sought.get(peer)!.found(sockets, fd);
    const nowMs = this.#nowMs();
    this.#searchAtMs = nowMs + (nowMs - startMs) * SEARCH_PAUSES;
  }

  #end(name: string, { bodies }: Sender, nowMs: number): void {
    this.#refusedUntilMs.delete(name);
    if (this.#refusedUntilMs.size === REFUSED_MAX)
      this.#refusedUntilMs.delete(this.#refusedUntilMs.keys().next().value!);
    this.#refusedUntilMs.set(name, nowMs + REFUSED_MS);
    for (const body of [...bodies]) if (body.wasteBytes > body.dataBytes) body.end();
  }

  #isRefused(name: string): boolean {
    const untilMs = this.#refusedUntilMs.get(name);
    if (untilMs === undefined) return false;
    if (this.#nowMs() < untilMs) return true;
    this.#refusedUntilMs.delete(name);
    return false;
  }

  #watch(): void {
    if (this.#timer !== null) return;
    this.#checkedMs = this.#nowMs();
    this.#idleChecks = 0;
    this.#timer = setInterval(() => this.check(), CHECK_MS);
    this.#timer.unref?.();
  }

  #unwatch(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }
}

/** What arrived of the bodies of a sender since a time, and what else was read from their connections. */
class Sender {
  readonly bodies = new Set<ChunkedBody>();
  sinceMs: number;
  /** Whether the event loop was late at the last check. */
  isLate = false;
  dataBytes = 0;
  wasteBytes = 0;

  constructor(nowMs: number) {
    this.sinceMs = nowMs;
  }

  get isWasteful(): boolean {
    return this.wasteBytes > WASTE_BYTES_MAX && this.wasteBytes > this.dataBytes * WASTE_RATIO_MAX;
  }

  restart(nowMs: number): void {
    for (const each of [this, ...this.bodies]) [each.dataBytes, each.wasteBytes] = [0, 0];
    this.sinceMs = nowMs;
  }
}

class ChunkedBody implements ArrivingChunks {
  isWaiting = true;
  onEnded: ((error: Error) => void) | null = null;
  /** Counted together with those of the sender. */
  dataBytes = 0;
  wasteBytes = 0;
  readonly #exchange: Exchange;
  readonly #sender: Sender;
  readonly #refuse: () => Error;
  #peer: string | null = null;
  #searches = 0;
  #sockets: SocketBytes | null = null;
  #fd = -1;
  /** As of the last measurement, and what arrived since then. */
  #readBytes = 0;
  #arrivedBytes = 0;

  constructor(exchange: Exchange, sender: Sender, refuse: () => Error) {
    this.#exchange = exchange;
    this.#sender = sender;
    this.#refuse = refuse;
    sender.bodies.add(this);
  }

  /** The other end of the connection, found on first use; empty if it has ended. */
  get peer(): string {
    if (this.#peer !== null) return this.#peer;
    const peer = this.#exchange.peer;
    this.#peer = peer === null ? '' : peerOf(peer.address, peer.port);
    return this.#peer;
  }

  /** Whether the connection is unknown, and to be searched for once more. */
  isSought(): boolean {
    return this.#sockets === null && this.#searches++ < SEARCHES_MAX && this.peer !== '';
  }

  /** Earlier requests of the connection were read from it, too. */
  found(sockets: SocketBytes, fd: number): void {
    const readBytes = sockets.readBytes(fd, this.peer);
    if (readBytes === null) return;
    this.#sockets = sockets;
    this.#fd = fd;
    this.#readBytes = readBytes;
    this.#arrivedBytes = 0;
  }

  add(bytes: number): void {
    this.#arrivedBytes += bytes;
  }

  arrived(): void {
    // A body that is refused at once would never be measured. On a late loop what nobody reads is waste, too.
    this.isWaiting ||= this.#sender.isLate;
    if (this.#sender.bodies.delete(this)) this.measure();
  }

  end(): void {
    this.arrived();
    this.onEnded?.(this.#refuse());
  }

  /** Only while the reader of the body waits for the sender, nothing that was read waits for the reader. */
  measure(): void {
    if (this.#sockets === null || !this.isWaiting) return;
    const readBytes = this.#sockets.readBytes(this.#fd, this.peer);
    if (readBytes === null) {
      this.#sockets = null;
      return;
    }
    const wasteBytes = readBytes - this.#readBytes - this.#arrivedBytes;
    for (const each of [this, this.#sender]) {
      each.dataBytes += this.#arrivedBytes;
      each.wasteBytes += wasteBytes;
    }
    this.#readBytes = readBytes;
    this.#arrivedBytes = 0;
  }
}

/** No owner is named like an address or an ID after a line break. */
function senderOf({ principal, clientAddress }: Exchange): string {
  if (principal === null) return `\n${clientAddress}`;
  return principal.owner === '' ? `\n${principal.userId ?? principal.keyId}` : principal.owner;
}
