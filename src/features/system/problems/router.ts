import { z } from '@hono/zod-openapi';
import { AtlasError } from '../../../errors.ts';
import type { ProblemKind, ProblemKinds } from '../../../http/problem-kind.ts';
import type { RouteTable } from '../../../http/route.ts';

/** Mounts `/problems/{code}`, the page that the `type` of a problem links to. */
export function mountProblems(routes: RouteTable, kinds: ProblemKinds): void {
  routes.mount(
    {
      method: 'get',
      path: '/problems/{code}',
      operationId: 'explainProblem',
      summary: 'Explain a problem type',
      tag: 'Problems',
      tier: 'non-critical',
      scope: null,
      sheddable: false,
      params: z.object({ code: z.string().max(64).openapi({ example: 'insufficient_funds' }) }),
      refusals: ['not_found'],
      responses: {
        200: {
          description: 'An HTML page with the cause and the remedy',
          content: { 'text/html': { schema: z.string() } },
        },
      },
    },
    ({ c, params }) => {
      const kind = Object.hasOwn(kinds, params.code) ? kinds[params.code] : undefined;
      if (kind === undefined) throw new AtlasError('not_found', 'No problem type has this code.');
      return c.html(page(params.code, kind), 200);
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
