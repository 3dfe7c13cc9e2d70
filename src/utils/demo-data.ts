/** IDs of the data that `atlas seed` creates. They are fixed, so that examples in the API documentation work as they are. */
export const DEMO = {
  /** The owner of everything below: that of the first API key. */
  owner: 'owner',
  bank: '00000000-0000-7000-8000-000000000001',
  alice: '00000000-0000-7000-8000-00000000000a',
  bob: '00000000-0000-7000-8000-00000000000b',
  transfer: '00000000-0000-7000-8000-0000000000d1',
  file: '00000000-0000-8000-af01-000000000001',
  webhook: '00000000-0000-8000-af02-000000000001',
  delivery: '00000000-0000-7000-8000-0000000000e1',
} as const;

/** The bytes of the demo file. */
export const DEMO_CSV = 'date,reference,amount\n2026-01-31,Invoice 4711,12.50\n';

/** Where the demo webhook would send, were it enabled. IANA reserves the name for documentation. */
export const DEMO_URL = 'https://example.com/atlas';
