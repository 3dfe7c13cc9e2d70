import type { Database } from '../../adapters/postgres/database.ts';
import type { Feature, FeatureDeclaration } from '../feature.ts';
import { createKeyRepository } from './keys/repository.ts';
import { createKeyService } from './keys/service.ts';

/** API keys. Their problems, `unauthenticated` and `forbidden`, belong to the pipeline. */
export const identity = {
  tags: [],
  scopes: {},
  problems: {},
  eventTypes: {},
  settings: {},
} as const satisfies FeatureDeclaration;

export function createIdentity({ database }: { readonly database: Database }) {
  const keys = createKeyService(createKeyRepository(database));
  return {
    keys,
    mount: () => {},
    jobs: [{ name: 'save when keys were last used', by: 'each', everyMs: 30_000, run: keys.flushLastUsed }],
  } satisfies Feature & { keys: unknown };
}
