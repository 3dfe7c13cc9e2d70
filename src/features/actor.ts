import { hostname, userInfo } from 'node:os';
import type { Exchange } from '../envelope/exchange.ts';
import type { Actor } from '../utils/actor.ts';

/** Returns the authenticated caller of a request as the actor of its changes. */
export function actorOf({ principal, requestId, clientAddress: address }: Exchange): Actor {
  const { kind, keyId } = principal!;
  return { kind, id: keyId, requestId, ...(address !== '' && { address }) };
}

/** Returns a part of Atlas that acts on its own. */
export function systemActor(part: string): Actor {
  return { kind: 'system', id: part };
}

/** Returns who runs this command. */
export function commandActor(): Actor {
  return { kind: 'command', id: `${userName()}@${hostname()}` };
}

/** A container may run as a user without a name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'unknown');
  }
}
