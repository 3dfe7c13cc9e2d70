import { DEMO, DEMO_CSV } from '../../utils/demo-data.ts';
import { commandActor } from '../actor.ts';
import type { FileService } from './service.ts';

const TIMEOUT_MS = 10_000;

/**
 * Uploads the demo files. One that was deleted is not uploaded again: its events would continue those of the first one.
 */
export async function createDemoFiles(
  files: Pick<FileService, 'upload'>,
  isKeyUsed: (key: string) => Promise<boolean>,
): Promise<void> {
  for (const id of [DEMO.file, DEMO.spareFile]) {
    if (await isKeyUsed(id)) continue;
    const claims = { id, name: 'statement.csv', declaredType: 'text/csv', sha256: [] };
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    await files.upload(DEMO.owner, claims, bytesOf(DEMO_CSV), commandActor(), signal);
  }
}

async function* bytesOf(text: string): AsyncIterable<Uint8Array> {
  yield new TextEncoder().encode(text);
}
