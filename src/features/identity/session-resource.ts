import { z } from '@hono/zod-openapi';
import type { Exchange } from '../../envelope/exchange.ts';
import { TimestampSchema } from '../../http/schemas.ts';
import type { Session, StartedSession } from './session.ts';
import { sessionFields } from './session-cookie.ts';

const members = {
  id: z.string().openapi({ example: 'demo000000000003' }),
  isCurrent: z.boolean().openapi({ description: 'Whether it is the session of this request.' }),
  organization: z
    .string()
    .nullable()
    .openapi({ description: 'The organization it acts for; null for none.' }),
  authenticatedAt: TimestampSchema.openapi({ description: 'When the person signed in.' }),
  createdAt: TimestampSchema,
  lastUsedAt: TimestampSchema.openapi({ description: 'When it was last used, within a minute.' }),
  expiresAt: TimestampSchema.openapi({ description: 'When it ends at the latest.' }),
  address: z.string().openapi({ description: 'The address that it was started from; empty if unknown.' }),
  userAgent: z.string(),
};

export const SessionSchema = z.strictObject(members).openapi('Session');
export const StartedSessionSchema = z
  .strictObject({
    ...members,
    token: z.string().nullable().openapi({
      example: 'atlas_session_0000000000000000_…',
      description: 'For the Authorization header. It is not shown again. Null if it is in the cookie.',
    }),
  })
  .openapi('StartedSession');

/** Returns a session as it is shown to its user. */
export function toSessionResource(session: Session, currentId: string) {
  const { id, organization, authenticatedAt, createdAt, lastUsedAt, expiresAt, address, userAgent } = session;
  return {
    id,
    isCurrent: id === currentId,
    organization: organization === '' ? null : organization,
    authenticatedAt: authenticatedAt.toISOString(),
    createdAt: createdAt.toISOString(),
    lastUsedAt: lastUsedAt.toISOString(),
    expiresAt: expiresAt.toISOString(),
    address,
    userAgent,
  };
}

/** Returns a session that was just started or rotated, with its token unless that is in the cookie. */
function toStartedResource({ session, token }: StartedSession, isCookie: boolean) {
  return { ...toSessionResource(session, session.id), token: isCookie ? null : token };
}

/** Responds with a session that was started or rotated, to a page or to a program. */
export function respondWithSession(
  exchange: Exchange,
  started: StartedSession,
  status: number,
  isCookie: boolean,
): Response {
  return exchange.json(toStartedResource(started, isCookie), status, sessionFields(started, isCookie));
}
