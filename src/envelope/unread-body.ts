import { settle } from '../utils/settle.ts';
import type { Middleware } from './exchange.ts';

/**
 * Closes the connection after a response that was sent before its streamed body was read. Otherwise the server would
 * keep receiving the rest, however large or slow. A connection whose body was read gets its idle timeout back.
 */
export function closeUnread(): Middleware {
  return (next) => (request, exchange) => {
    if (!exchange.route.streamsBody) return next(request, exchange);
    return settle(next(request, exchange), (response) => {
      const isRead = exchange.body === null ? request.body === null : exchange.body.isRead;
      exchange.endSilence();
      if (!isRead) response.headers.set('connection', 'close');
      return response;
    });
  };
}
