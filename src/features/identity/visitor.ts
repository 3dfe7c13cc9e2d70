import type { Exchange } from '../../envelope/exchange.ts';
import type { Actor } from '../../utils/actor.ts';
import { actorOf, sessionActor, userActor } from '../actor.ts';

/** Where a request of a person comes from, read before anything is awaited. */
export interface Visitor {
  /** The address of the client; empty if it is unknown. */
  readonly address: string;
  readonly userAgent: string;
  readonly signal: AbortSignal;
  /** Returns the actor of what a user does without a session. */
  asUser(userId: string): Actor;
  /** Returns a session that this request starts as the actor. */
  asSession(id: string, userId: string): Actor;
}

/** A visitor with a session. */
export interface SignedIn extends Visitor {
  readonly userId: string;
  readonly sessionId: string;
  readonly actor: Actor;
}

export function visitorOf(request: Request, exchange: Exchange): Visitor {
  return {
    address: exchange.clientAddress,
    userAgent: request.headers.get('user-agent') ?? '',
    signal: exchange.signal,
    asUser: (userId) => userActor(exchange, userId),
    asSession: (id, userId) => sessionActor(exchange, id, userId),
  };
}

/** Returns the visitor of a route whose scope only sessions have. */
export function signedIn(request: Request, exchange: Exchange): SignedIn {
  const { keyId: sessionId, userId } = exchange.principal!;
  return { ...visitorOf(request, exchange), userId: userId!, sessionId, actor: actorOf(exchange) };
}
