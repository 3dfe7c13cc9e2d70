import type { Sql } from '../../../src/adapters/postgres/postgres.ts';
import { readSqlFunctions } from '../../../src/adapters/postgres/sql-functions.ts';

/** A mistake in a SQL function that random programs must find. */
export interface PlantedBug {
  readonly what: string;
  /** Whether it shows only between accounts of two organizations. */
  readonly isBetweenOrganizations: boolean;
  readonly functionName: string;
  readonly text: string;
  readonly replacement: string;
}

const BUGS: readonly (readonly [what: string, functionName: string, text: string, replacement: string])[] = [
  ['what is reserved can be spent', 'lock_accounts', 'ELSE 0 END) + l.debits_pending', 'ELSE 0 END)'],
  ['a ceiling ignores what is pending', 'lock_accounts', 'unlimited) - l.credits_pending', 'unlimited)'],
  ['a frozen account is debited', 'lock_accounts', "WHEN l.debits_frozen THEN 'account_frozen' END", 'END'],
  ['an expired hold is posted', 'post_movements', 'posted_at >= h_expires[h]', 'false'],
  ['a settled hold is posted', 'post_movements', "WHEN h_state[h] <> 'pending' THEN 'hold_settled'", ''],
  ['more than a hold is posted', 'post_movements', "WHEN amount > remaining THEN 'hold_amount_exceeded'", ''],
  ['the rest is kept unasked', 'post_movements', "kind = 'post' AND p_keeps_rest[i]", "kind = 'post'"],
  ['the rest is released unasked', 'post_movements', "kind = 'post' AND p_keeps_rest[i]", 'false'],
  [
    'others post a hold',
    'post_movements',
    "WHEN isolates AND a_owner[d] <> payer THEN 'unknown_account'",
    '',
  ],
  [
    'a payee that is frozen shows',
    'post_movements',
    'CASE WHEN is_own THEN a_no_credit[c] ELSE',
    'CASE WHEN true THEN a_no_credit[c] ELSE',
  ],
  [
    'more than a transfer is reversed',
    'post_movements',
    "WHEN kind = 'reverse' AND amount > remaining",
    'WHEN false',
  ],
  [
    'a reversal overdraws',
    'post_movements',
    'a_floor[d] AND NOT is_forced',
    "a_floor[d] AND kind <> 'reverse'",
  ],
  [
    'a refused set keeps its reservation',
    'post_movements',
    'a_held_debits[d] := a_held_debits[d] + released;',
    '',
  ],
  ['a refused set keeps its reversal', 'post_movements', 't_reversed[t] := t_reversed[t] - amount;', 'NULL;'],
  [
    'a hold takes room of an account of others',
    'post_movements',
    'h_reserves[h] := is_own',
    'h_reserves[h] := true',
  ],
  ['expiry releases too much', 'expire_given_holds', 'h.amount - h.posted, 0), (', 'h.amount, 0), ('],
];

export const PLANTED_BUGS: readonly PlantedBug[] = BUGS.map(([what, functionName, text, replacement]) => {
  return { what, isBetweenOrganizations: /others|payee/.test(what), functionName, text, replacement };
});

/** Installs a function with its bug. Throws if the text that it replaces does not occur exactly once. */
export async function plantBug(
  sql: Sql,
  { what, functionName, text, replacement }: PlantedBug,
): Promise<void> {
  const { script } = (await readSqlFunctions()).find(({ name }) => name === functionName)!;
  if (script.split(text).length !== 2)
    throw new Error(`The bug "${what}" replaces a text that occurs not once in ${functionName}: ${text}`);
  await sql.unsafe(script.replace(text, () => replacement));
}
