import { settle } from '../utils/settle.ts';
import type { Middleware } from './exchange.ts';

/**
 * Closes the connection after an answer that came before its streamed body was read: the server would otherwise go on
 * receiving what nobody wants, however much and however slowly it is sent. One that was read is cut again when nothing
 * comes on it.
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
