import { expect, test } from 'bun:test';
import { ROLES, scopesOfRoles } from '../../../../src/features/identity/roles.ts';
import { PERSONAL_SCOPES } from '../../../../src/features/identity/scope-kinds.ts';
import { ALL_SCOPES, OPERATOR_SCOPES, SCOPES, SESSION_SCOPES } from '../../../../src/features.ts';

const roles = scopesOfRoles(ALL_SCOPES);

test('every scope is of keys, of operators, or of sessions, and those of keys are each in a role', () => {
  expect([...ALL_SCOPES, ...OPERATOR_SCOPES, ...SESSION_SCOPES].sort()).toEqual(Object.keys(SCOPES).sort());
  expect(roles.owner).toEqual(ALL_SCOPES);
  expect(SESSION_SCOPES.toSorted()).toEqual(PERSONAL_SCOPES.toSorted());
});

test('each role has what the one before it has, and no role has scopes of operators or of the person', () => {
  for (const [i, role] of ROLES.entries()) {
    const before = i === 0 ? [] : roles[ROLES[i - 1]!];
    expect(roles[role]).toEqual(expect.arrayContaining([...before]));
    for (const scope of [...OPERATOR_SCOPES, ...SESSION_SCOPES]) expect(roles[role]).not.toContain(scope);
  }
});

test('a viewer changes nothing, and sees neither keys, nor the audit log, nor what is known about people', () => {
  expect(roles.viewer.filter((scope) => !scope.endsWith(':read'))).toEqual([]);
  expect(roles.viewer).toContain('accounts:read');
  for (const scope of ['keys:read', 'audit:read', 'documents:read'])
    expect(roles.viewer).not.toContain(scope);
});

test('a member moves money and files, keeps documents, and manages nothing', () => {
  expect(roles.member.filter((scope) => !roles.viewer.includes(scope)).sort()).toEqual([
    'accounts:write',
    'documents:read',
    'documents:write',
    'files:write',
    'transfers:write',
  ]);
});

test('an admin has all but what changes the organization itself', () => {
  expect(roles.owner.filter((scope) => !roles.admin.includes(scope))).toEqual(['organization:write']);
});
