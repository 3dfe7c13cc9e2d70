import { z } from '@hono/zod-openapi';
import { AtlasError } from '../../../errors.ts';
import type { RouteTable } from '../../../http/route.ts';

// RFC 9116 recommends less than a year. People look at the date, so it is that of a day.
const VALID_DAYS = 180;
const DAY_MS = 86_400_000;
const CACHED_SECONDS = 86_400;

/** Mounts `GET /.well-known/security.txt` (RFC 9116). It is 404 without a contact. */
export function mountSecurityContact(routes: RouteTable, contact: string | null): void {
  routes.mount(
    {
      method: 'get',
      path: '/.well-known/security.txt',
      operationId: 'getSecurityContact',
      summary: 'Find out where to report a vulnerability',
      description: 'In the format of RFC 9116. 404 without the setting `SECURITY_CONTACT`.',
      tag: 'Documentation',
      tier: 'non-critical',
      scope: null,
      refusals: ['not_found'],
      responses: {
        200: { description: 'The contact', content: { 'text/plain': { schema: z.string() } } },
      },
    },
    ({ exchange }) => {
      if (contact === null)
        throw new AtlasError(
          'not_found',
          'This Atlas has no contact for security; its operator can set SECURITY_CONTACT.',
        );
      return exchange.respond(
        textOf(contact, Date.now()),
        200,
        exchange.responseHeaders.of({
          'content-type': 'text/plain; charset=utf-8',
          'cache-control': `public, max-age=${CACHED_SECONDS}`,
        }),
      );
    },
  );
}

function textOf(contact: string, nowMs: number): string {
  const day = Math.floor(nowMs / DAY_MS) + VALID_DAYS;
  return `Contact: ${contact}\nExpires: ${new Date(day * DAY_MS).toISOString()}\nPreferred-Languages: en\n`;
}
