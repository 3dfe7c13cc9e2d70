/** The accounts of the tour in the README. */
export const DEMO_ACCOUNTS = {
  bank: '00000000-0000-7000-8000-000000000001',
  alice: '00000000-0000-7000-8000-00000000000a',
  bob: '00000000-0000-7000-8000-00000000000b',
} as const;

/**
 * IDs of what `atlas seed` creates. They are fixed, so that examples in the API documentation work as they are. The
 * spare ones are for the examples that delete.
 */
export const DEMO = {
  ...DEMO_ACCOUNTS,
  /** The owner of everything here: that of the first API key. */
  owner: 'owner',
  /** An organization without keys, for the examples that change one. */
  organization: 'example',
  /** Without money, for the examples that close one and open it again. */
  spareAccount: '00000000-0000-7000-8000-00000000000c',
  transfer: '00000000-0000-7000-8000-0000000000d1',
  hold: '00000000-0000-8a71-a504-000000000001',
  /** Accounts of other uses than the tour: two that exchanges go through, and the dollars of Alice. */
  euroLiquidity: '00000000-0000-7000-8000-0000000000c1',
  dollarLiquidity: '00000000-0000-7000-8000-0000000000c2',
  aliceDollars: '00000000-0000-7000-8000-0000000000ad',
  exchange: '00000000-0000-8a71-a50e-000000000001',
  exchangeTransfer: '00000000-0000-7000-8000-0000000000d2',
  spareHold: '00000000-0000-8a71-a504-000000000002',
  limit: '00000000-0000-7000-8000-0000000000c1',
  spareLimit: '00000000-0000-7000-8000-0000000000c2',
  operatorLimit: '00000000-0000-7000-8000-0000000000c3',
  file: '00000000-0000-8a71-a501-000000000001',
  spareFile: '00000000-0000-8a71-a501-000000000002',
  webhook: '00000000-0000-8a71-a502-000000000001',
  spareWebhook: '00000000-0000-8a71-a502-000000000002',
  delivery: '00000000-0000-7000-8000-0000000000e1',
  /** Users who nobody can sign in as, members of the organization of the first API key. */
  user: '00000000-0000-7000-8000-0000000000f2',
  spareUser: '00000000-0000-7000-8000-0000000000f3',
  spareInvitation: '00000000-0000-7000-8000-0000000000f4',
  spareTemplate: 'supplier',
  import: '00000000-0000-8a71-a506-000000000001',
  spareImport: '00000000-0000-8a71-a506-000000000002',
  key: 'demo000000000001',
  spareKey: 'demo000000000002',
} as const;

/** The person of the demo data. Only developers get one who can sign in: everybody knows the password. */
export const DEMO_PERSON = {
  id: '00000000-0000-7000-8000-0000000000f1',
  email: 'demo@example.com',
  name: 'Demo',
  password: 'four random words here',
} as const;

/** The bytes of the demo files. */
export const DEMO_CSV = 'date,reference,amount\n2026-01-31,Invoice 4711,12.50\n';

/** Where the demo webhooks would send, were they enabled. IANA reserves the name for documentation. */
export const DEMO_URL = 'https://example.com/atlas';

/** The kinds of the demo documents; one is for the example that deletes. Any organization may use these names. */
export const DEMO_KINDS = { identity: 'identity', spare: 'questionnaire' } as const;

/** What the kinds are registered with. */
export const DEMO_DOCUMENT_KIND = {
  title: 'Identity of a customer',
  schema: {
    type: 'object',
    required: ['name', 'country'],
    properties: {
      name: { type: 'string', minLength: 1, maxLength: 200 },
      born: { type: 'string', format: 'date' },
      country: { type: 'string', pattern: '^[A-Z]{2}$' },
      scans: { type: 'array', items: { type: 'string', format: 'uuid' }, maxItems: 20 },
    },
    additionalProperties: false,
  },
};

/** The content of the demo documents. */
export const DEMO_DOCUMENT = { name: 'Alice Example', born: '1990-01-31', country: 'DE' };

/** The templates of accounts of the demo data; one is for the example that deletes. */
export const DEMO_TEMPLATES = { customer: 'customer', spare: DEMO.spareTemplate } as const;

/** What the templates are saved with. */
export const DEMO_TEMPLATE = {
  title: 'Accounts of a customer',
  accounts: [
    { ref: 'customer', name: '{customer}', ledger: 'EUR', metadata: { customer: '{number}' } },
    { ref: 'wallet', name: 'Wallet of {customer}', ledger: 'EUR', parent: 'customer', balanceMax: 1_000_000 },
    { ref: 'credit', name: 'Credit of {customer}', ledger: 'EUR', parent: 'customer', balanceMin: -50_000 },
  ],
};
