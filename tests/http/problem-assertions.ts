import { expect } from 'bun:test';
import { Exchange } from '../../src/envelope/exchange.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { ProblemSchema } from '../../src/http/problem.ts';
import type { TestApp } from '../support/test-app.ts';

/** A problem, parsed from a response. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly requestId: string;
  readonly errors?: readonly { pointer: string; detail: string; code?: string }[];
}

/**
 * Checks everything that Atlas promises about a problem response: status, media type, a `type` with a page, the request
 * id in header and body, and the pointers of `errors` if they are given. Returns the problem.
 */
export async function expectProblem(
  atlas: TestApp,
  response: Response,
  status: number,
  code: ErrorCode,
  pointers?: readonly string[],
): Promise<Problem> {
  const problem = (await response.json()) as Problem;
  expect({ status: response.status, type: problem.type }).toEqual({ status, type: `/problems/${code}` });
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  expect(response.headers.get('cache-control')).toBe('no-store');
  expect(ProblemSchema.parse(problem).status).toBe(status);
  expect(problem.requestId).not.toBe('');
  expect(problem.requestId).toBe(response.headers.get('x-request-id')!);
  // One place can be wrong in two ways, and is then named twice.
  if (pointers) expect([...new Set(problem.errors?.map((error) => error.pointer))]).toEqual([...pointers]);
  // Without a permit: in tests of load shedding there is none left.
  const request = new Request(new URL(problem.type, 'http://atlas.test'));
  const exchange = new Exchange(request, atlas.resolved.resolve(request), performance.now());
  const page = await atlas.enter(request, exchange);
  expect(page.status).toBe(200);
  expect(await page.text()).toContain(code);
  return problem;
}
