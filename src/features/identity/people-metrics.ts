import type { Registry } from 'prom-client';
import { registerStats } from '../../instrumentation/register-stats.ts';
import type { PasswordHashStats } from './password-hasher.ts';

/** What is counted about people. */
export interface PeopleStats {
  readonly signIns: Readonly<Record<string, number>>;
  readonly providerSignIns: Readonly<Record<string, number>>;
  readonly changes: () => Readonly<Record<string, number>>;
  readonly hashes: () => PasswordHashStats;
}

/** Metrics of people who sign up and sign in. No label has anything of a person. */
export function registerPeopleMetrics(
  registry: Registry,
  { signIns, providerSignIns, changes, hashes }: PeopleStats,
): void {
  const counts = (
    name: string,
    help: string,
    label: string,
    values: () => Readonly<Record<string, number>>,
  ) =>
    registerStats(registry, 'counter', name, help, () =>
      Object.entries(values()).map(([key, value]) => ({ labels: { [label]: key }, value })),
    );
  counts('atlas_sign_ins_total', 'Attempts to sign in with a password, by outcome', 'outcome', () => signIns);
  counts(
    'atlas_provider_sign_ins_total',
    'Sign-ins through the OpenID Connect provider, by outcome',
    'outcome',
    () => providerSignIns,
  );
  counts('atlas_user_changes_total', 'Users created and changed over HTTP, by change', 'change', changes);
  const single = (type: 'counter' | 'gauge', name: string, help: string, read: () => number) =>
    registerStats(registry, type, name, help, () => [{ labels: {}, value: read() }]);
  single('counter', 'atlas_password_hashes_total', 'Passwords hashed or verified', () => hashes().hashes);
  single(
    'counter',
    'atlas_password_hashes_refused_total',
    'Passwords that were not hashed because too many waited',
    () => hashes().refused,
  );
  single(
    'gauge',
    'atlas_password_hashes_waiting',
    'Passwords that wait to be hashed',
    () => hashes().waiting,
  );
}
