import { expect } from 'bun:test';
import type { TestApp } from './test-app.ts';
import { createUser, passwordHash, type TestUser, type UserFacts } from './user-steps.ts';

/** A session as it is returned when it starts. */
export interface Started {
  readonly id: string;
  readonly token: string;
  readonly organization: string | null;
}

/** Returns the session that a response started. */
export async function startedBy(response: Response): Promise<Started> {
  expect(response.status).toBe(201);
  return (await response.json()) as Started;
}

/** Returns a function that creates a user with the `PASSWORD` of tests. */
export const personIn =
  (atlas: () => TestApp) =>
  async (facts: UserFacts = {}): Promise<TestUser> =>
    createUser(atlas(), { passwordHash: await passwordHash(), ...facts });
