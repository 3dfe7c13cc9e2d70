import type { Database } from '../../adapters/postgres/database.ts';
import type { Feature, FeatureDeclaration } from '../feature.ts';
import { createCredentials } from './credentials.ts';
import { createKeyRepository } from './keys/repository.ts';
import { createKeyService } from './keys/service.ts';

/** API keys, and the organizations that they belong to. The problems of credentials belong to the pipeline. */
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
    credentials: createCredentials(keys.stores),
    mount: () => {},
    jobs: [{ name: 'save when keys were last used', by: 'each', everyMs: 30_000, run: keys.flushLastUsed }],
  } satisfies Feature & Record<string, unknown>;
}
