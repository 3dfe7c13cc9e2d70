import type { ProblemKinds } from '../../http/problem-kind.ts';

/** Problems of changes of accounts, and of their trees and templates. */
export const accountProblems = {
  account_not_empty: {
    status: 422,
    title: 'Account not empty',
    cause: 'Only an account with a balance of zero and with nothing pending can be closed.',
    remedy: 'Transfer the balance, and post or void the holds: GET /v1/accounts/{id}/holds?state=pending.',
  },
  balance_below_limit: {
    status: 422,
    title: 'Balance below the limit',
    cause: 'What is available in the account is less than the `balanceMin` that it would have.',
    remedy: 'Nothing was changed. Credit the account first, or send a lower limit.',
  },
  balance_above_limit: {
    status: 422,
    title: 'Balance above the limit',
    cause:
      'The balance of the account, with the credits that are pending, is more than the `balanceMax` that it would have.',
    remedy: 'Nothing was changed. Debit the account first, or send a higher limit.',
  },
  parent_not_found: {
    status: 422,
    title: 'Parent account not found',
    cause: 'No account of your organization has the ID in `parentId`.',
    remedy: 'Nothing was changed. Open the parent first: POST /v1/accounts.',
  },
  parent_ledger_differs: {
    status: 422,
    title: 'Parent on a different ledger',
    cause: 'A ledger holds one currency, and all accounts of a tree are on the same one.',
    remedy: 'Nothing was changed. Use a parent on the ledger of the account.',
  },
  account_cycle: {
    status: 422,
    title: 'Account below itself',
    cause: 'The parent is the account itself, or one of the accounts below it.',
    remedy: 'Nothing was changed. Move the other account out of the tree first.',
  },
  account_tree_too_deep: {
    status: 422,
    title: 'Account tree too deep',
    cause: 'A tree is at most 8 accounts deep, counted from its root.',
    remedy: 'Nothing was changed. Use a parent closer to the root.',
  },
  account_tree_too_large: {
    status: 422,
    title: 'Account tree too large',
    cause:
      'More than 10000 accounts are below the account, or a sum of theirs exceeds 9007199254740991 (2^53−1). Such a tree is not rolled up, and not moved at once.',
    remedy: 'Roll up or move the accounts below it: GET /v1/accounts?parentId={id} lists them.',
  },
  account_template_not_found: {
    status: 404,
    title: 'Account template not found',
    cause: 'Your organization has no template of accounts with this name.',
    remedy: 'GET /v1/account-templates lists the templates. Save one with PUT /v1/account-templates/{name}.',
  },
  too_many_account_templates: {
    status: 422,
    title: 'Too many account templates',
    cause: 'Your organization has reached the limit of 100 templates of accounts.',
    remedy: 'Delete one that you no longer need: DELETE /v1/account-templates/{name}.',
  },
  template_values_invalid: {
    status: 422,
    title: 'Values do not fit the template',
    cause:
      'A placeholder of the template has no value, a value has no placeholder, or a name or metadata would be too long with it.',
    remedy: 'No account was opened. Fix what `errors` points to: GET /v1/account-templates/{name}.',
    errors: [{ pointer: '/values/customer', detail: 'is required by the template' }],
  },
} as const satisfies ProblemKinds;
