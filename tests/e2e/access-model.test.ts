import { afterAll, beforeAll, expect, test } from 'bun:test';
import fc from 'fast-check';
import { openPostgres, type Sql } from '../../src/adapters/postgres/postgres.ts';
import { OPERATORS } from '../../src/features/identity/organization-id.ts';
import { isPersonalScope } from '../../src/features/identity/scope-kinds.ts';
import { makeToken } from '../../src/features/identity/token.ts';
import { OPERATOR_SCOPES } from '../../src/features.ts';
import { freshDatabase } from '../support/database.ts';
import { START_TIMEOUT_MS } from '../support/test-app.ts';
import { until } from '../support/until.ts';
import { bearer, createSession } from '../support/user-steps.ts';
import type { AccessModel } from './access-model.ts';
import { Company, type Place, type Program, program } from './access-program.ts';
import { type AtlasProcess, makeFolder, removeFolder, startAtlas } from './atlas-process.ts';

// Programs that run beside each other, in organizations of their own, so that they wait for the 5 s together.
const PROGRAMS = 16;
const RUNS = 2;
const HOLDS_WITHIN_MS = 5000;
// Enough connections that both workers respond.
const PROBES_PER_ROUTE = 4;
const TEST_TIMEOUT_MS = 120_000;

/** Requests that say whether a caller has the scope of their route, and change nothing. */
const PROBES = [
  { method: 'GET', path: '/v1/ping', scope: 'ping:read' },
  { method: 'GET', path: '/v1/organizations', scope: 'me:read' },
  { method: 'GET', path: '/v1/organizations/current/members', scope: 'members:read' },
  { method: 'GET', path: '/v1/api-keys', scope: 'keys:read' },
  { method: 'POST', path: '/v1/transfers', scope: 'transfers:write' },
  { method: 'PATCH', path: '/v1/organizations/current', scope: 'organization:write' },
];

let folder: string;
let atlas: AtlasProcess;
let sql: Sql;
let place: Place;
beforeAll(async () => {
  folder = await makeFolder();
  const url = await freshDatabase();
  atlas = await startAtlas(folder, { DATABASE_URL: url, API_WORKERS: '2' });
  sql = openPostgres({ url, connectionsMax: 4, timeoutSeconds: 20 });
  const { token, id, secretHash } = makeToken('operator');
  await sql`INSERT INTO api_keys (id, owner, kind, name, scopes, secret_hash)
    VALUES (${id}, ${OPERATORS}, 'operator', 'test', ${[...OPERATOR_SCOPES]}, ${secretHash})`;
  place = { url: atlas.url, sql, operator: token };
}, START_TIMEOUT_MS);
afterAll(async () => {
  await sql?.end();
  await atlas?.end('SIGTERM');
  await removeFolder(folder);
});

/** Returns the status of a request on a connection of its own. A request that is shed says nothing. */
async function statusOf(token: string, method: string, path: string): Promise<number> {
  return until(async () => {
    const response = await fetch(`${atlas.url}${path}`, {
      method,
      keepalive: false,
      headers: { ...bearer(token), Connection: 'close' },
    });
    await response.arrayBuffer();
    return [429, 503].includes(response.status) ? null : response.status;
  });
}

/** Returns what a caller may reach, as the model says and as Atlas does. */
async function compare(
  name: string,
  token: string,
  scopes: readonly string[] | null,
  { isSuspended }: AccessModel,
) {
  const expected = (scope: string) => {
    if (scopes === null) return 401;
    const isRefused = !scopes.includes(scope) || (isSuspended && !isPersonalScope(scope));
    return isRefused ? 403 : 'allowed';
  };
  const found = await Promise.all(
    PROBES.map(async ({ method, path }) => {
      const statuses = await Promise.all(
        Array.from({ length: PROBES_PER_ROUTE }, () => statusOf(token, method, path)),
      );
      const outcomes = statuses.map((status) => ([401, 403].includes(status) ? status : 'allowed'));
      return [...new Set(outcomes)].join(' and ');
    }),
  );
  const of = (outcome: (probe: (typeof PROBES)[number], i: number) => unknown) =>
    Object.fromEntries(PROBES.map((probe, i) => [probe.scope, String(outcome(probe, i))]));
  return {
    expected: { name, ...of(({ scope }) => expected(scope)) },
    found: { name, ...of((_, i) => found[i]) },
  };
}

async function compareAll(company: Company, model: AccessModel): Promise<number> {
  const checks = company.keys.map(({ id, token }) =>
    compare(`key ${id}`, token, model.scopesOfKey(id), model),
  );
  for (const { id, token } of company.users) {
    const fresh = await createSession({ sql }, id, company.id);
    const scopes = model.scopesOfUser(id);
    checks.push(compare(`session of ${id}`, token, model.ended.has(id) ? null : scopes, model));
    checks.push(compare(`new session of ${id}`, fresh.token, scopes, model));
  }
  const compared = await Promise.all(checks);
  expect(compared.map(({ found }) => found)).toEqual(compared.map(({ expected }) => expected));
  return compared.filter(({ found }) => Object.values(found).includes('allowed')).length;
}

async function expectStored(company: Company, model: AccessModel): Promise<void> {
  const roles = await sql<{ userId: string; role: string }[]>`
    SELECT user_id, role FROM memberships WHERE organization = ${company.id}`;
  expect(new Map(roles.map(({ userId, role }) => [userId, role]))).toEqual(model.roles);
  const open = await sql<{ id: string }[]>`SELECT id FROM invitations WHERE organization = ${company.id}`;
  expect(open.map(({ id }) => id).sort()).toEqual([...model.invitations.keys()].sort());
  expect([...model.orphaned.keys()]).toEqual([]);
}

let companies = 0;
async function runAll(programs: readonly Program[]): Promise<void> {
  const run = await Promise.all(
    programs.map(async (steps) => {
      const company = await Company.create(place, `company-${++companies}`);
      await company.run(steps);
      return company;
    }),
  );
  const endMs = performance.now() + HOLDS_WITHIN_MS;
  const models = await Promise.all(run.map((company) => company.replay()));
  await until(() => performance.now() >= endMs, { what: 'the 5 s within which every change holds' });
  let allowed = 0;
  for (const [i, company] of run.entries()) {
    await expectStored(company, models[i]!);
    allowed += await compareAll(company, models[i]!);
  }
  // A test in which everything is refused finds nothing.
  expect(run.reduce((sum, { done }) => sum + done.size, 0)).toBeGreaterThan(programs.length * 2);
  expect(allowed).toBeGreaterThan(programs.length);
}

test(
  'whatever members and keys do to each other at once, nobody has access that the model denies, and all that it grants',
  async () => {
    const programs = fc.array(program, { minLength: PROGRAMS, maxLength: PROGRAMS });
    await fc.assert(fc.asyncProperty(programs, runAll), { numRuns: RUNS, endOnFailure: true });
  },
  TEST_TIMEOUT_MS,
);
