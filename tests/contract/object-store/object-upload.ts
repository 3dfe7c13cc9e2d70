import { directoryStore } from '../../../src/adapters/object-store/directory-store.ts';
import { openS3Store } from '../../../src/adapters/s3/s3-store.ts';
import { bytesOf, put } from './object-stores.ts';

// A process that uploads until it is killed: `object-upload.ts <options of the store as JSON> <key> <bytes>`. It prints
// `sent` when the store has taken so many bytes of an endless body.
const [options, key, sizeBytes] = process.argv.slice(2);
const { folder, ...s3 } = JSON.parse(options!);
const store = folder ? directoryStore(folder) : openS3Store(s3).store;

async function* endless() {
  yield bytesOf(Number(sizeBytes));
  // The store requests the next chunk only when it has copied this one, so this is in the middle of the upload.
  yield new Uint8Array(1);
  console.log('sent');
  await new Promise(() => {});
}

await put(store, key!, endless());
