import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { ROLES, scopesOfRoles } from '../../../src/features/identity/roles.ts';
import { isPersonalScope } from '../../../src/features/identity/scope-kinds.ts';
import { ALL_SCOPES } from '../../../src/features.ts';
import { DEMO } from '../../../src/utils/demo-data.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { createUser } from '../../support/user-steps.ts';
import { type AccessWorld, startAccessWorld } from './access-world.ts';

let world: AccessWorld;
beforeAll(async () => {
  world = await startAccessWorld();
}, START_TIMEOUT_MS);
afterAll(() => world.close());

describe.each(ROLES)('the session of a user whose role is %s', (role) => {
  const scopes = scopesOfRoles(ALL_SCOPES)[role];
  const session = async () => (await createUser(world.atlas, { organization: DEMO.owner, role })).token;

  test('is refused what the role does not allow, without an effect', () =>
    world.expectRefused(
      world.keyed.filter(({ scope }) => !isPersonalScope(scope!) && !scopes.includes(scope!)),
      session,
      ({ scope }) => ({
        status: 403,
        type: '/problems/forbidden',
        detail: `This route requires the scope ${scope}.`,
      }),
    ));

  test('reads what the role allows', async () => {
    const reads = world.keyed.filter(({ method, scope }) => method === 'GET' && scopes.includes(scope!));
    expect(reads.length).toBeGreaterThan(15);
    const token = await session();
    for (const example of reads) {
      const { operationId } = example;
      const { status, text } = await world.send(example, token);
      expect({ operationId, ok: status < 300, text: status < 300 ? '' : text }).toEqual({
        operationId,
        ok: true,
        text: '',
      });
    }
  });
});
