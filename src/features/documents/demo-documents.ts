import { AtlasError } from '../../errors.ts';
import { DEMO, DEMO_DOCUMENT, DEMO_DOCUMENT_KIND, DEMO_KINDS } from '../../utils/demo-data.ts';
import { commandActor } from '../actor.ts';
import type { KindService } from './kinds/service.ts';
import type { DocumentService } from './records/service.ts';

/** Creates the demo documents. What was changed or deleted stays as it is. */
export async function createDemoDocuments(kinds: KindService, documents: DocumentService): Promise<void> {
  const actor = commandActor();
  const { owner, alice } = DEMO;
  const names = Object.values(DEMO_KINDS);
  for (const kind of names) {
    if (await exists(() => kinds.find(owner, kind, null))) continue;
    await kinds.register(owner, { kind, ...DEMO_DOCUMENT_KIND }, 'none', actor);
  }
  for (const kind of names) {
    const path = { owner, accountId: alice, kind };
    if (await exists(() => documents.versions(path, null, 1))) continue;
    await documents.put(path, DEMO_DOCUMENT, 'none', actor);
  }
}

async function exists(find: () => Promise<unknown>): Promise<boolean> {
  try {
    await find();
    return true;
  } catch (error) {
    if (error instanceof AtlasError && error.code.endsWith('_not_found')) return false;
    throw error;
  }
}
