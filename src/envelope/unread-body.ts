import { settle } from '../utils/settle.ts';
import type { Exchange, Middleware } from './exchange.ts';

/**
 * Closes the connection after a response that was sent before its streamed or chunked body was read. Otherwise the
 * server would keep receiving the rest, however large or slow: the parser of chunks takes 10 ms for what a socket has
 * in one turn, and a chunk of leading zeros or extensions need never end. A connection whose body was read gets its
 * idle timeout back. A body with a Content-Length that is not read costs next to nothing, and ends.
 */
export function closeUnread(): Middleware {
  return (next) => (request, exchange) => {
    if (!exchange.route.streamsBody && !exchange.isChunked) return next(request, exchange);
    return settle(next(request, exchange), (response) => {
      const isRead = isBodyRead(request, exchange);
      exchange.endSilence();
      if (!isRead) response.headers.set('connection', 'close');
      return response;
    });
  };
}

function isBodyRead(request: Request, exchange: Exchange): boolean {
  const { route, body, isBuffered } = exchange;
  if (!route.streamsBody) return isBuffered;
  if (body !== null) return body.isRead;
  // Using the body would make the server receive and keep it.
  return !exchange.isChunked && request.body === null;
}
