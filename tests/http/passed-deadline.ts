import { lockTable } from '../support/table-lock.ts';
import type { TestApp } from '../support/test-app.ts';
import { expectProblem } from './problem-assertions.ts';

/** Resolves once the deadline of a request sent now with these headers has passed. */
export async function passDeadline(atlas: TestApp, headers: Record<string, string> = {}): Promise<void> {
  const lock = await lockTable(atlas.deps.databaseUrl, 'accounts');
  const late = await atlas.call('GET', '/v1/accounts', { headers });
  await expectProblem(atlas, late, 504, 'deadline_exceeded');
  await lock.release();
}
