import { randomUUID } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { untilAborted } from '../../utils/until-aborted.ts';
import { PARTS_MAX, PartBuffer, PartReader, partBytes } from './part-buffer.ts';
import { type CallS3, transferMs } from './s3-calls.ts';

/** An object of S3 that bytes are for. */
export interface Destination {
  readonly Bucket: string;
  readonly Key: string;
  readonly ContentType: string;
}

// S3 puts the parts together before it answers, which takes minutes where they are many.
const COMPLETE_MS = 300_000;
const CLEAN_UP_MS = 2000;

/**
 * Sends a body as one object: at once where it fits into one part, else in parts, of which one is sent while the next
 * one is filled. S3 compares a CRC-32 of each. Throws what the body or S3 throws; then no parts are left there, if S3
 * could be told so.
 */
export async function uploadS3(
  client: S3Client,
  ask: CallS3,
  destination: Destination,
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<{ sizeBytes: number }> {
  const failed = new AbortController();
  const ending = AbortSignal.any([signal, failed.signal]);
  const reader = new PartReader(untilAborted(body, ending));
  const buffer = new PartBuffer();
  try {
    if (!(await reader.fill(buffer, partBytes(1)))) {
      return await uploadParts(client, ask, destination, reader, buffer, ending, failed);
    }
    const command = new PutObjectCommand({
      ...destination,
      Body: buffer.content,
      ChecksumAlgorithm: 'CRC32',
    });
    const send = (abortSignal: AbortSignal) => client.send(command, { abortSignal });
    await ask('PutObject', signal, send, transferMs(buffer.sizeBytes));
    return { sizeBytes: buffer.sizeBytes };
  } finally {
    buffer.free();
    await reader.close();
  }
}

/** Sends the part in the buffer and all that the reader has after it. */
async function uploadParts(
  client: S3Client,
  ask: CallS3,
  destination: Destination,
  reader: PartReader,
  firstPart: PartBuffer,
  signal: AbortSignal,
  failed: AbortController,
): Promise<{ sizeBytes: number }> {
  const { Bucket, Key } = destination;
  // Tells afterwards whether the object that stands under the key is this one.
  const upload = randomUUID();
  const create = { ...destination, ChecksumAlgorithm: 'CRC32', Metadata: { upload } } as const;
  const { UploadId } = await ask('CreateMultipartUpload', signal, (abortSignal) =>
    client.send(new CreateMultipartUploadCommand(create), { abortSignal }),
  );
  const target = { Bucket, Key, UploadId };
  const parts: CompletedPart[] = [];
  const spare = new PartBuffer();
  let [filled, free] = [firstPart, spare];
  let sending: Promise<void> = Promise.resolve();
  let sizeBytes = 0;

  const send = async (PartNumber: number, { content }: PartBuffer) => {
    const part = { ...target, PartNumber, Body: content, ChecksumAlgorithm: 'CRC32' } as const;
    const { ETag, ChecksumCRC32 } = await ask(
      'UploadPart',
      signal,
      (abortSignal) => client.send(new UploadPartCommand(part), { abortSignal }),
      transferMs(content.byteLength),
    );
    parts.push({ PartNumber, ETag, ChecksumCRC32 });
  };

  try {
    for (let number = 1, ended = false; filled.sizeBytes > 0; number++) {
      if (number > PARTS_MAX) throw new RangeError(`an object has at most ${PARTS_MAX} parts`);
      sizeBytes += filled.sizeBytes;
      sending = send(number, filled);
      // What fails here ends the wait for the body, which may be long.
      sending.catch((error) => failed.abort(error));
      if (!ended) ended = await reader.fill(free, partBytes(number + 1));
      else free.clear();
      await sending;
      [filled, free] = [free, filled];
    }
    await complete(client, ask, { ...target, MultipartUpload: { Parts: parts } }, upload, signal);
    return { sizeBytes };
  } catch (error) {
    failed.abort(error);
    // A part that arrives after the end of its upload stays there, so its sending ends first.
    await sending.catch(() => {});
    const abort = new AbortMultipartUploadCommand(target);
    const late = AbortSignal.timeout(CLEAN_UP_MS);
    const cleanUp = ask('AbortMultipartUpload', late, (abortSignal) => client.send(abort, { abortSignal }));
    await cleanUp.catch(() => {});
    throw error;
  } finally {
    spare.free();
  }
}

/** Makes one object of the parts. Where the answer is lost, or the second one says that there are none, S3 is asked. */
async function complete(
  client: S3Client,
  ask: CallS3,
  command: ConstructorParameters<typeof CompleteMultipartUploadCommand>[0],
  upload: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await ask(
      'CompleteMultipartUpload',
      signal,
      (abortSignal) => client.send(new CompleteMultipartUploadCommand(command), { abortSignal }),
      COMPLETE_MS,
    );
  } catch (error) {
    const { Bucket, Key } = command;
    const found = await ask('HeadObject', signal, (abortSignal) =>
      client.send(new HeadObjectCommand({ Bucket, Key }), { abortSignal }),
    ).catch(() => null);
    if (found?.Metadata?.upload !== upload) throw error;
  }
}
