import { expect, test } from 'bun:test';
import { partyReader } from '../../../src/features/identity/authentication.ts';
import { makeToken } from '../../../src/features/identity/token.ts';
import { partyOf } from '../../../src/utils/party.ts';
import { principalOf } from '../../support/principal.ts';

const operator = principalOf('', { kind: 'operator' });
const person = principalOf('', { kind: 'session', userId: 'ada' });

test('operators, people without an organization, owners, and strangers share nothing with each other', () => {
  const parties = [operator, person, principalOf('acme'), principalOf('other')].map(partyOf);
  expect(new Set([...parties, '', ' ']).size).toBe(6);
  expect(partyOf(principalOf('acme', { kind: 'session', userId: 'ada' }))).toBe(partyOf(principalOf('acme')));
});

test('the party of a request is that of its token, once that was verified', () => {
  const { token } = makeToken('operator');
  const requestWith = (headers: Record<string, string>) => new Request('http://atlas.test/', { headers });
  const read = partyReader({ peek: (sent) => (sent === token ? operator : null) });
  expect(read(requestWith({ authorization: `Bearer ${token}` }))).toBe(partyOf(operator));
  expect(read(requestWith({ authorization: `Bearer ${makeToken('operator').token}` }))).toBe(null);
  expect(read(requestWith({}))).toBe(null);
});
