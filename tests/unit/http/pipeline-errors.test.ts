import { describe, expect, test } from 'bun:test';
import { PROBLEM_KINDS } from '../../../src/features.ts';
import { pipelineErrors, refusals } from '../../../src/http/pipeline-errors.ts';
import { createToProblem } from '../../../src/http/problem.ts';
import { DECISIONS, type Refusal } from '../../../src/shedding/decision.ts';
import { exchangeOf } from '../../support/exchange.ts';

const REASONS = DECISIONS.filter((decision): decision is Refusal => decision !== 'admitted');
const SATURATED = REASONS.filter((reason) => reason !== 'deadline');
const toProblem = createToProblem(PROBLEM_KINDS, { unexpected: () => {}, unavailable: () => {} });
const refuse = refusals(1000);

describe('a refusal of an overloaded process', () => {
  test.each(SATURATED)('is a 429 with the reason in its detail: %s', async (reason) => {
    const response = toProblem(refuse(reason), exchangeOf().exchange);
    expect(response.status).toBe(429);
    const problem = await response.json();
    expect(problem.type).toBe('/problems/overloaded');
    const others = SATURATED.filter((other) => other !== reason).map((other) => refuse(other).message);
    expect(problem.detail.length).toBeGreaterThan(20);
    expect(others).not.toContain(problem.detail);
  });

  test.each(SATURATED)('has the same wait in all three header fields: %s', (reason) => {
    const seen = new Set<string>();
    for (let i = 0; i < 300; i++) {
      const { headers } = toProblem(refuse(reason), exchangeOf().exchange);
      const seconds = headers.get('retry-after')!;
      seen.add(seconds);
      expect(headers.get('ratelimit')).toBe(`"shed";r=0;t=${seconds}`);
      expect(headers.get('ratelimit-policy')).toBe('"shed";q=1000');
    }
    // Refused callers must not retry in step.
    expect([...seen].toSorted()).toEqual(['1', '2', '3']);
  });

  test('is not built per request, because refusals must be cheap', () => {
    const made = new Set(Array.from({ length: 1000 }, () => refuse('permits')));
    expect(made.size).toBe(3);
  });

  test('leaks nothing from one response to another', async () => {
    const responses = await Promise.all(
      ['first', 'second'].map((requestId) => {
        const { exchange } = exchangeOf();
        exchange.requestId = requestId;
        const response = toProblem(refuse('priority'), exchange);
        response.headers.set('x-mine', requestId);
        return response.json().then((problem) => [problem.requestId, response.headers.get('x-mine')]);
      }),
    );
    expect(responses).toEqual([
      ['first', 'first'],
      ['second', 'second'],
    ]);
    expect(toProblem(refuse('priority'), exchangeOf().exchange).headers.get('x-mine')).toBeNull();
  });
});

test('a refusal for lack of time is a separate 504, which says that nothing was done', async () => {
  const response = toProblem(refuse('deadline'), exchangeOf().exchange);
  expect(response.status).toBe(504);
  const problem = await response.json();
  expect(problem.type).toBe('/problems/deadline_too_short');
  expect(problem.detail).toContain('Nothing was done');
  expect(response.headers.get('retry-after')).toBeNull();
  expect(response.headers.get('ratelimit')).toBeNull();
});

test.each([
  [pipelineErrors.deadlineExceeded(), 504],
  [pipelineErrors.invalidHost(), 400],
  [pipelineErrors.bodyTooLarge(10), 413],
  [pipelineErrors.bodyTooDeep(32), 400],
  [pipelineErrors.bodyNotUtf8(), 400],
  [pipelineErrors.bodyBroken(new Error('secret')), 400],
])('%s is returned as %d, without its cause', async (error, status) => {
  expect(PROBLEM_KINDS[error.code]!.status).toBe(status);
  const response = toProblem(error, exchangeOf().exchange);
  expect(response.status).toBe(status);
  expect(await response.text()).not.toContain('secret');
});
