import { z } from '@hono/zod-openapi';
import { AtlasError } from '../../../errors.ts';
import type { ProblemKind, ProblemKinds } from '../../../http/problem-kind.ts';
import type { RouteTable } from '../../../http/route.ts';
import { STATIC_HEADERS, StaticContent, UNCHANGED } from '../../../http/static-content.ts';

/** Mounts `/problems/{code}`, the page that the `type` of a problem links to. */
export function mountProblems(routes: RouteTable, kinds: ProblemKinds): void {
  const pages = new Map(
    Object.entries(kinds).map(([code, kind]) => {
      const load = () => page(code, kind);
      return [code, new StaticContent({ type: 'text/html; charset=UTF-8', load })];
    }),
  );
  routes.mount(
    {
      method: 'get',
      path: '/problems/{code}',
      operationId: 'explainProblem',
      summary: 'Explain a problem type',
      tag: 'Problems',
      tier: 'non-critical',
      scope: null,
      headers: STATIC_HEADERS,
      params: z.object({ code: z.string().max(64).openapi({ example: 'insufficient_funds' }) }),
      refusals: ['not_found'],
      responses: {
        200: {
          description: 'An HTML page with the cause and the remedy',
          content: { 'text/html': { schema: z.string() } },
        },
        ...UNCHANGED,
      },
    },
    ({ request, exchange, params }) => {
      const content = pages.get(params.code);
      if (content === undefined) throw new AtlasError('not_found', 'No problem type has this code.');
      return content.respond(request, exchange);
    },
  );
}

function page(code: string, { status, title, cause, remedy }: ProblemKind): string {
  const text = (value: string) =>
    value
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replace(/`([^`]+)`/g, '<code>$1</code>');
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>${text(title)}</title>
<h1>${text(title)}</h1>
<p><code>${code}</code>, HTTP status ${status}</p>
<h2>Cause</h2>
<p>${text(cause)}</p>
<h2>Remedy</h2>
<p>${text(remedy)}</p>
</html>
`;
}
