import { AtlasError } from '../../errors.ts';
import { type AccountChange, TREE_ACCOUNTS_MAX, TREE_DEPTH_MAX } from './account.ts';

/** Why an account cannot get a parent. */
export type ParentRefusal =
  | 'parent_not_found'
  | 'parent_ledger_differs'
  | 'account_cycle'
  | 'account_tree_too_deep';

/** Why an account was not changed. */
export type ChangeRefusal =
  | ParentRefusal
  | 'account_not_found'
  | 'precondition_failed'
  | 'account_not_empty'
  | 'balance_below_limit'
  | 'balance_above_limit'
  | 'account_tree_too_large';

/** What a change does, as the audit log calls it. */
export type ChangeKind = 'updated' | 'closed' | 'reopened';

/** Returns the refusal of a parent. */
export function refusalOfParent(refusal: ParentRefusal, parentId: string): AtlasError {
  const details: Readonly<Record<ParentRefusal, string>> = {
    parent_not_found: `The parent ${parentId} does not exist.`,
    parent_ledger_differs: `The parent ${parentId} is on another ledger.`,
    account_cycle: `The account ${parentId} is the account itself or below it.`,
    account_tree_too_deep: `Below ${parentId}, the tree would be deeper than ${TREE_DEPTH_MAX} accounts.`,
  };
  return new AtlasError(refusal, details[refusal]);
}

const DETAILS = {
  precondition_failed: 'The account has changed since you read it.',
  account_not_empty: 'The account has a balance, or something is pending.',
  balance_below_limit: 'What is available is less than `balanceMin`, or than 0 without one.',
  balance_above_limit: 'The balance, with what is pending, is more than `balanceMax`.',
  account_tree_too_large: `More than ${TREE_ACCOUNTS_MAX} accounts are below the account.`,
} as const;

/** Returns the refusal of a change. */
export function refusalOfChange(
  refusal: Exclude<ChangeRefusal, 'account_not_found'>,
  { parentId }: AccountChange,
): AtlasError {
  if (refusal in DETAILS) return new AtlasError(refusal, DETAILS[refusal as keyof typeof DETAILS]);
  return refusalOfParent(refusal as ParentRefusal, parentId ?? '');
}
