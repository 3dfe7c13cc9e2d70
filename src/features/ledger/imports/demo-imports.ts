import { DEMO } from '../../../utils/demo-data.ts';
import type { ImportRepository } from './repository.ts';

/** Creates the imports of the examples, which have finished. Repeating it changes nothing. */
export async function createDemoImports({
  createFinished,
}: Pick<ImportRepository, 'createFinished'>): Promise<void> {
  const shared = { owner: DEMO.owner, fileId: DEMO.file, fileName: 'demo.csv' };
  await createFinished({ ...shared, id: DEMO.import, state: 'done' });
  await createFinished({ ...shared, id: DEMO.spareImport, state: 'canceled' });
}
