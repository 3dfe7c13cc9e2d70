import { changeAccount, saveTemplate, setClosed } from '../../support/account-steps.ts';
import type { ApiCaller } from '../../support/api-caller.ts';
import { openAccount } from '../../support/ledger-steps.ts';
import type { Change } from './changes.ts';

const TEMPLATE = { accounts: [{ ref: 'root', name: 'Root', ledger: 'EUR' }] };

/** What changes of accounts and of their templates record, each for one of its own. */
export function accountChanges(atlas: () => ApiCaller): Readonly<Record<string, Change>> {
  return {
    changeAccount: {
      actions: ['account.updated'],
      async prepare() {
        const { id } = await openAccount(atlas());
        return () => changeAccount(atlas(), id, { acceptsFrom: ['*'], debitsFrozen: true });
      },
    },
    closeAccount: {
      actions: ['account.closed'],
      async prepare() {
        const { id } = await openAccount(atlas());
        return () => setClosed(atlas(), id, 'close');
      },
    },
    reopenAccount: {
      actions: ['account.reopened'],
      async prepare() {
        const { id } = await openAccount(atlas());
        await setClosed(atlas(), id, 'close');
        return () => setClosed(atlas(), id, 'reopen');
      },
    },
    saveAccountTemplate: {
      actions: ['account_template.created'],
      prepare: async () => () => saveTemplate(atlas(), 'saved', TEMPLATE),
    },
    deleteAccountTemplate: {
      actions: ['account_template.deleted'],
      async prepare() {
        await saveTemplate(atlas(), 'deleted', TEMPLATE);
        return () => atlas().call('DELETE', '/v1/account-templates/deleted');
      },
    },
  };
}
