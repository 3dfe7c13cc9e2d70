import { DEMO_CSV } from '../../../src/utils/demo-data.ts';
import { saveTemplate } from '../../support/account-steps.ts';
import { type FilesApp, sha256Of, uploadFile } from '../../support/file-steps.ts';
import { createKey } from '../../support/key-steps.ts';
import { openAccount, postTransfer } from '../../support/ledger-steps.ts';
import { holdMoney } from '../../support/movement-steps.ts';
import { createUser } from '../../support/user-steps.ts';
import { createWebhook } from '../../support/webhook-steps.ts';

/** What an organization has, twice, so that a request can be for another one. */
export interface World {
  readonly token: string;
  /** The session of its owner. */
  readonly session: string;
  readonly accounts: readonly string[];
  /** Of which a part can be posted or reversed again and again. */
  readonly hold: string;
  readonly transfer: string;
  readonly webhooks: readonly string[];
  readonly deliveries: readonly string[];
  readonly files: readonly string[];
  readonly keys: readonly string[];
}

/** A request that creates something. */
export interface Creation {
  readonly method: 'POST' | 'PUT';
  readonly path: string;
  readonly json?: object;
  readonly body?: string;
}

/** How a test creates with an operation of the contract. */
export interface CreateCase {
  /** Returns a request; with another `n`, a different one. */
  request(world: World, n: 0 | 1): Creation;
  /** Where it adds a row. */
  readonly table?: string;
  /** Its response contains a secret, so that it must be stored sealed. */
  readonly isSecret?: true;
  /** The mail that it sends contains a secret. */
  readonly mailsSecret?: true;
  /** Its keys are those of the ledger, which has a store of its own. */
  readonly isLedger?: true;
  /** It moves money, so it needs a key, which is not in the store of the ledger. */
  readonly requiresKey?: true;
  /** With this status, many at once may be refused before they are compared. */
  readonly refusesRush?: 409 | 429;
  /** Its caller is an operator, and not an organization. */
  readonly isOperator?: true;
  /** Its caller is a person. */
  readonly isPersonal?: true;
}

const post = (path: string, json?: object): Creation => ({ method: 'POST', path, ...(json && { json }) });
const put = (path: string, json?: object): Creation => ({ method: 'PUT', path, ...(json && { json }) });
const ORGANIZATIONS = '/v1/operator/organizations';
const limitOf = (accountId: string) => {
  return { name: 'payouts', ledger: 'EUR', accountIds: [accountId], maxima: { dayAmount: 1_000_000_000 } };
};

/** Every operation that creates something, by its ID. */
export const CREATES: Readonly<Record<string, CreateCase>> = {
  saveOrganization: {
    request: (_, n) => put(`${ORGANIZATIONS}/saved`, { name: `Saved ${n}` }),
    isOperator: true,
  },
  suspendOrganization: {
    request: (_, n) => put(`${ORGANIZATIONS}/suspended${n}/suspension`),
    isOperator: true,
  },
  setQuota: {
    request: (_, n) =>
      put('/v1/operator/quotas/organization/suspended0', {
        requestsPerSecond: 10 + n,
        burst: 0,
        concurrentRequests: null,
      }),
    isOperator: true,
  },
  createOwnOrganization: {
    request: (_, n) => post('/v1/organizations', { name: `organization ${n}` }),
    table: 'organizations',
    isPersonal: true,
  },
  createInvitation: {
    request: (_, n) =>
      post('/v1/organizations/current/invitations', { email: `invited${n}@example.com`, role: 'viewer' }),
    mailsSecret: true,
  },
  createApiKey: {
    request: (_, n) => post('/v1/api-keys', { name: `key ${n}`, scopes: ['ping:read'] }),
    table: 'api_keys',
    isSecret: true,
  },
  rotateApiKey: {
    request: ({ keys }, n) => post(`/v1/api-keys/${keys[n]}/rotate`, {}),
    table: 'api_keys',
    isSecret: true,
  },
  openAccount: {
    request: (_, n) => post('/v1/accounts', { ledger: 'EUR', name: `account ${n}`, metadata: { a: '1' } }),
    table: 'accounts',
  },
  openChart: {
    request: (_, n) => post('/v1/account-templates/chart/open', { values: { name: `chart ${n}` } }),
    table: 'accounts',
  },
  postTransfer: {
    request: ({ accounts: [debitAccountId, creditAccountId] }, n) =>
      post('/v1/transfers', { debitAccountId, creditAccountId, amount: 1 + n }),
    table: 'transfers',
    isLedger: true,
    refusesRush: 409,
  },
  postTransferBatch: {
    request: ({ accounts: [debitAccountId, creditAccountId] }, n) =>
      post('/v1/transfers/batch', { transfers: [{ debitAccountId, creditAccountId, amount: 1 + n }] }),
    table: 'transfers',
    isLedger: true,
    refusesRush: 409,
  },
  createHold: {
    request: ({ accounts: [debitAccountId, creditAccountId] }, n) =>
      post('/v1/holds', { debitAccountId, creditAccountId, amount: 1 + n }),
    table: 'holds',
    isLedger: true,
    refusesRush: 409,
  },
  postHold: {
    request: ({ hold }, n) => post(`/v1/holds/${hold}/post`, { amount: 1 + n, keepRest: true }),
    table: 'transfers',
    isLedger: true,
    refusesRush: 409,
  },
  postSet: {
    request: ({ accounts: [debitAccountId, creditAccountId] }, n) =>
      post('/v1/sets', { movements: [{ type: 'transfer', debitAccountId, creditAccountId, amount: 1 + n }] }),
    table: 'transfers',
    isLedger: true,
    refusesRush: 409,
  },
  reverseTransfer: {
    request: ({ transfer }, n) => post(`/v1/transfers/${transfer}/reverse`, { amount: 1 + n }),
    table: 'reversals',
    isLedger: true,
    refusesRush: 409,
  },
  createLimit: {
    request: ({ accounts }, n) => post('/v1/limits', limitOf(accounts[n]!)),
    table: 'limits',
  },
  createOrganizationLimit: {
    request: ({ accounts }, n) => post('/v1/operator/organizations/owner/limits', limitOf(accounts[n]!)),
    table: 'limits',
    isOperator: true,
  },
  createWebhook: {
    request: (_, n) => post('/v1/webhooks', { url: 'http://127.0.0.1:9/', description: `webhook ${n}` }),
    table: 'webhooks',
    isSecret: true,
  },
  rotateWebhookSecret: {
    request: ({ webhooks }, n) => post(`/v1/webhooks/${webhooks[n]}/secret`),
    isSecret: true,
  },
  testWebhook: {
    request: ({ webhooks }, n) => post(`/v1/webhooks/${webhooks[n]}/test`),
    table: 'webhook_deliveries',
  },
  replayWebhookDelivery: {
    request: ({ webhooks, deliveries }, n) =>
      post(`/v1/webhooks/${webhooks[n]}/deliveries/${deliveries[n]}/replay`),
  },
  uploadFile: {
    request: (_, n) => ({ method: 'POST', path: '/v1/files?name=a.csv', body: `${DEMO_CSV}${n}\n` }),
    table: 'files',
    refusesRush: 429,
  },
  initiateUpload: {
    request: (_, n) =>
      post('/v1/files/uploads', {
        name: `${n}.csv`,
        mediaType: 'text/csv',
        sizeBytes: DEMO_CSV.length,
        sha256: sha256Of(Buffer.from(DEMO_CSV)),
      }),
    table: 'files',
    isSecret: true,
  },
  createImport: {
    request: ({ files }, n) => post('/v1/imports', { fileId: files[n], format: 'csv', dryRun: true }),
    table: 'imports',
    requiresKey: true,
  },
  linkFile: {
    request: ({ files }, n) => post(`/v1/files/${files[n]}/link`),
    isSecret: true,
  },
};

/** Those with an Idempotency-Key that happen once at most, whatever the key, and where they are tested. */
export const ONCE: Readonly<Record<string, string>> = {
  acceptInvitation: 'tests/http/identity/invitations.test.ts',
  voidHold: 'tests/http/ledger/holds.test.ts',
};

/** Every other POST and PUT of the contract, and why it needs no Idempotency-Key. */
export const REPEATABLE: Readonly<Record<string, string>> = {
  revokeApiKey: 'A key that is revoked stays as it is.',
  replayWebhookEvents: 'What was delivered is not sent again, unless the caller wants exactly that.',
  cancelImport: 'An import that is canceled stays so.',
  completeFile: 'A file that is stored stays as it is.',
  enrollSecondFactor: 'Another secret replaces the first, and none counts until it is confirmed.',
  confirmSecondFactor: 'The code works once.',
  removeSecondFactor: 'The code works once.',
  replaceRecoveryCodes: 'The code works once.',
  completeProviderSignIn: 'Another session harms nobody, and a stored response would hold a token.',
  lockUser: 'A user who is locked out stays so.',
  uploadByLink: 'The link is for exactly these bytes.',
  signUp: 'An address has one user, and the response is the same.',
  confirmAddress: 'The token works once, and an address that is confirmed stays so.',
  requestPasswordReset: 'Another mail replaces the first.',
  completePasswordReset: 'The token works once.',
  changePassword: 'The present password is another one afterwards.',
  signIn: 'Another session harms nobody, and a stored response would hold a token.',
  closeAccount: 'An account that is closed stays so, and If-Match keeps a late retry from closing it again.',
  reopenAccount: 'An account that is open stays so, and If-Match keeps a late retry from opening it again.',
  saveAccountTemplate: 'The same template again is no change, and another one needs the ETag of the last.',
  registerDocumentKind:
    'The same schema again is no new version, and another one needs the ETag of the last.',
  putDocument: 'The same content again is no new version, and another one needs the ETag of the last.',
  searchTransfers: 'It reads; what to look for is in the body, as it may be about people.',
  searchAccounts: 'It reads; what to look for is in the body, as it may be about people.',
  searchDocuments: 'It reads; what to look for is in the body, as it may be about people.',
  switchOrganization: 'The session acts for the same organization again.',
};

/** Gives the owner of the key what the cases need. */
export async function createWorld(atlas: FilesApp, token: string, organization = 'owner'): Promise<World> {
  const headers = { Authorization: `Bearer ${token}` };
  const as = {
    ...atlas,
    call: ((method, path, options = {}) =>
      atlas.call(method, path, {
        ...options,
        headers: { ...headers, ...options.headers },
      })) as FilesApp['call'],
  };
  const twice = async (create: (n: number) => Promise<{ id: string }>) => [
    (await create(0)).id,
    (await create(1)).id,
  ];
  const webhooks = await twice(() => createWebhook(as, { url: 'http://127.0.0.1:9/' }));
  const accounts = await twice(() => openAccount(as));
  await saveTemplate(as, 'chart', { accounts: [{ ref: 'root', name: '{name}', ledger: 'EUR' }] });
  const order = { debitAccountId: accounts[0], creditAccountId: accounts[1], amount: 1000 };
  return {
    token,
    session: (await createUser(atlas, { organization })).token,
    webhooks,
    accounts,
    hold: (await holdMoney(as, order)).id,
    transfer: ((await (await postTransfer(as, order)).json()) as { id: string }).id,
    deliveries: await twice(
      async (n) =>
        (await (await as.call('POST', `/v1/webhooks/${webhooks[n]}/test`)).json()) as { id: string },
    ),
    files: await twice((n) => uploadFile(as, `text ${n}`)),
    keys: await twice(() => createKey(as)),
  };
}
