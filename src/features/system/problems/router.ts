import { z } from '@hono/zod-openapi';
import { AtlasError, type ErrorCode } from '../../../errors.ts';
import { PROBLEM_KINDS } from '../../../http/problem-kinds.ts';
import type { RouteTable } from '../../../http/route.ts';

/** `/problems/{code}`: what the `type` of a problem points to. For people, so it is a page. */
export function mountProblems(routes: RouteTable): void {
  routes.mount(
    {
      method: 'get',
      path: '/problems/{code}',
      operationId: 'explainProblem',
      summary: 'The cause and the remedy of a problem',
      tag: 'Problems',
      tier: 'non-critical',
      scope: null,
      sheddable: false,
      params: z.object({ code: z.string().max(64).openapi({ example: 'insufficient_funds' }) }),
      refusals: [404],
      responses: { 200: { description: 'A page', content: { 'text/html': { schema: z.string() } } } },
    },
    ({ c, params }) => {
      if (!Object.hasOwn(PROBLEM_KINDS, params.code))
        throw new AtlasError('not_found', 'There is no problem of this name.');
      return c.html(page(params.code as ErrorCode), 200);
    },
  );
}

function page(code: ErrorCode): string {
  const { status, title, cause, remedy } = PROBLEM_KINDS[code];
  const text = (value: string) => value.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
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
