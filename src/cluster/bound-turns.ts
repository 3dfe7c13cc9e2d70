const CHECKED_REQUESTS = 128;
// Longer than a turn with one request of each of several hundred connections.
const TURN_MS = 10;

type Fetch<A extends unknown[]> = (...args: A) => Response | Promise<Response>;

/**
 * Bounds the requests of one connection in one turn of the event loop. Bun reads megabytes of pipelined requests in a
 * turn, and each response that is made synchronously lets it go on to the next request: seconds in which nobody else is
 * served. But it closes a connection that sends a request while a response is pending. So in a long turn, responses
 * wait for its end: that costs a connection with one request next to nothing, and ends one that pipelines.
 */
export function boundTurns<A extends unknown[]>(fetch: Fetch<A>, nowMs = () => performance.now()): Fetch<A> {
  let unchecked = 0;
  let isSameTurn = false;
  let isLong = false;
  let turnMs = 0;
  const endTurn = () => {
    isSameTurn = false;
    isLong = false;
  };

  return (...args) => {
    // Most turns have few requests, so the end of a turn is not worth a callback unless there were many.
    if (++unchecked === CHECKED_REQUESTS) {
      unchecked = 0;
      if (isSameTurn) isLong ||= nowMs() - turnMs > TURN_MS;
      else {
        isSameTurn = true;
        turnMs = nowMs();
        setImmediate(endTurn);
      }
    }
    const response = fetch(...args);
    if (!isLong || response instanceof Promise) return response;
    return new Promise((resolve) => void setImmediate(resolve, response));
  };
}
