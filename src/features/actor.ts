import { readFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import type { Exchange } from '../envelope/exchange.ts';
import type { Actor } from '../utils/actor.ts';

/** Returns the authenticated caller of a request as the actor of its changes. */
export function actorOf(exchange: Exchange): Actor {
  const { kind, keyId, userId } = exchange.principal!;
  return { kind, id: keyId, ...(userId !== null && { userId }), ...originOf(exchange) };
}

/** Returns a user who has proven who they are without a session, such as with a link in a mail, as the actor. */
export function userActor(exchange: Exchange, userId: string): Actor {
  return { kind: 'user', id: userId, ...originOf(exchange) };
}

/** Returns the session that a request starts as the actor. */
export function sessionActor(exchange: Exchange, id: string, userId: string): Actor {
  return { kind: 'session', id, userId, ...originOf(exchange) };
}

function originOf({ requestId, clientAddress: address }: Exchange): Pick<Actor, 'requestId' | 'address'> {
  return { requestId, ...(address !== '' && { address }) };
}

/** Returns a part of Atlas that acts on its own. */
export function systemActor(part: string): Actor {
  return { kind: 'system', id: part };
}

/** Returns who runs this command. */
export function commandActor(): Actor {
  return { kind: 'command', id: `${userName()}@${hostname()}` };
}

/** Who runs this process. A container may run it as a user without a name. */
function userName(): string {
  const uid = process.getuid?.();
  return uid === undefined ? userInfo().username : (nameOf(uid) ?? String(uid));
}

/** `userInfo` of Bun repeats the variable `USER`, which says what somebody likes; the kernel says which ID it is. */
function nameOf(uid: number): string | null {
  try {
    const users = readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .map((line) => line.split(':'));
    return users.find(([, , id]) => id === String(uid))?.[0] ?? null;
  } catch {
    return null;
  }
}
