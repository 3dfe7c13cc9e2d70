import { settle } from '../utils/settle.ts';
import type { Gate } from './accept-gate.ts';

const CHECKED_REQUESTS = 16;
// After this long, a turn is long. A payment takes about four turns.
const TURN_MS = 3;
const RELEASED_MIN = 8;
const RELEASED_MAX = 512;

/** Handles a request. `nowMs` is the time if it was read already: reading a clock is not free. */
type Fetch<R, C> = (request: R, connection?: C, nowMs?: number) => Response | Promise<Response>;

interface Held {
  /** Aborted once the client is gone. */
  readonly client: AbortSignal;
  readonly release: () => void;
}

/**
 * Bounds the requests that a turn of the event loop responds to. Bun reads all sockets that are ready in one turn, and
 * nobody else is served meanwhile: thousands of connections that each send the next request with the response make
 * every turn long, and so does one that pipelines megabytes of requests. So in a long turn, what could be responded to
 * at once waits, and the next turns release as many of these responses as fit into them. A connection sends nothing
 * before it has its own, or Bun closes it. The process never idles for that, and what waits for the database takes no
 * longer. Clients that connect again without waiting for a response would make a turn that never ends, so a long turn
 * accepts no other connections.
 */
export function boundTurns<R extends { readonly signal: AbortSignal }, C>(
  fetch: Fetch<R, C>,
  gate: Gate,
  nowMs = () => performance.now(),
): Fetch<R, C> {
  // Bounded by the open connections.
  const held: Held[] = [];
  let releasedMax = RELEASED_MIN;
  let unchecked = 0;
  let turn = 0;
  let turnMs = 0;
  let isCounting = false;
  let isOver = false;
  let isLong = false;

  function startTurn(startMs: number): void {
    isCounting = true;
    isOver = false;
    // What arrives now must not overtake what waits.
    isLong = held.length > 0;
    turnMs = startMs;
    setImmediate(endTurn);
  }

  function endTurn(): void {
    gate.open();
    isCounting = false;
    isLong = false;
    turn++;
    if (held.length === 0) return;
    releasedMax =
      nowMs() - turnMs > TURN_MS
        ? Math.max(RELEASED_MIN, releasedMax >> 1)
        : Math.min(RELEASED_MAX, releasedMax + RELEASED_MIN);
    const releases = held.splice(0, releasedCount());
    startTurn(nowMs());
    for (const { release } of releases) release();
  }

  /** Clients that are gone send no other request. */
  function releasedCount(): number {
    let count = 0;
    for (let left = releasedMax; left > 0 && count < held.length; count++)
      if (!held[count]!.client.aborted) left--;
    return count;
  }

  /** Most turns have few requests, so the end of a turn is not worth a callback for each. Returns the time. */
  function check(): number {
    const checkedMs = nowMs();
    if (!isCounting) {
      unchecked = 0;
      startTurn(checkedMs);
    } else if (checkedMs - turnMs > TURN_MS) {
      isOver = true;
      isLong = true;
      gate.shut();
    }
    return checkedMs;
  }

  const hold = (response: Response, client: AbortSignal): Promise<Response> =>
    new Promise((resolve) => void held.push({ client, release: () => resolve(response) }));

  function holdIfEarly(response: Response | Promise<Response>, { signal }: R): Response | Promise<Response> {
    const arrivedIn = turn;
    return settle(response, (made) => (turn === arrivedIn ? hold(made, signal) : made));
  }

  return (request, connection) => {
    const checkedMs = (isCounting ? !isOver : ++unchecked >= CHECKED_REQUESTS) ? check() : undefined;
    const response = fetch(request, connection, checkedMs);
    return isLong ? holdIfEarly(response, request) : response;
  };
}
