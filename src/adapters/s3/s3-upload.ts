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

/** The object to upload to. */
export interface Destination {
  readonly Bucket: string;
  readonly Key: string;
  readonly ContentType: string;
}

// S3 assembles the parts before it responds, which takes minutes for many of them.
const COMPLETE_MS = 300_000;
const CLEAN_UP_MS = 2000;

/**
 * Uploads a body as one object: with one request if it fits into one part, else in parts, sending one while the next is
 * filled. S3 verifies a CRC-32 of each. Throws what the body or S3 throws, after aborting the multipart upload unless
 * S3 is unavailable.
 */
export async function uploadS3(
  client: S3Client,
  call: CallS3,
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
      return await uploadParts(client, call, destination, reader, buffer, ending, failed);
    }
    const command = new PutObjectCommand({
      ...destination,
      Body: buffer.content,
      ChecksumAlgorithm: 'CRC32',
    });
    const send = (abortSignal: AbortSignal) => client.send(command, { abortSignal });
    await call('PutObject', signal, send, transferMs(buffer.sizeBytes));
    return { sizeBytes: buffer.sizeBytes };
  } finally {
    buffer.free();
    await reader.close();
  }
}

/** Uploads the part in the buffer, and the rest of the body after it. */
async function uploadParts(
  client: S3Client,
  call: CallS3,
  destination: Destination,
  reader: PartReader,
  firstPart: PartBuffer,
  signal: AbortSignal,
  failed: AbortController,
): Promise<{ sizeBytes: number }> {
  const { Bucket, Key } = destination;
  // Identifies the object of this upload afterwards.
  const upload = randomUUID();
  const create = { ...destination, ChecksumAlgorithm: 'CRC32', Metadata: { upload } } as const;
  const { UploadId } = await call('CreateMultipartUpload', signal, (abortSignal) =>
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
    const { ETag, ChecksumCRC32 } = await call(
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
      // A failure ends the wait for the body, which may be long.
      sending.catch((error) => failed.abort(error));
      if (!ended) ended = await reader.fill(free, partBytes(number + 1));
      else free.clear();
      await sending;
      [filled, free] = [free, filled];
    }
    await complete(client, call, { ...target, MultipartUpload: { Parts: parts } }, upload, signal);
    return { sizeBytes };
  } catch (error) {
    failed.abort(error);
    // S3 would keep a part that arrives after the abort, so its request ends first.
    await sending.catch(() => {});
    const abort = new AbortMultipartUploadCommand(target);
    const deadline = AbortSignal.timeout(CLEAN_UP_MS);
    const cleanUp = call('AbortMultipartUpload', deadline, (abortSignal) =>
      client.send(abort, { abortSignal }),
    );
    await cleanUp.catch(() => {});
    throw error;
  } finally {
    spare.free();
  }
}

/**
 * Completes the upload. If the response is lost, or a retry reports that the upload does not exist, checks whether the
 * object is the one of this upload.
 */
async function complete(
  client: S3Client,
  call: CallS3,
  command: ConstructorParameters<typeof CompleteMultipartUploadCommand>[0],
  upload: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await call(
      'CompleteMultipartUpload',
      signal,
      (abortSignal) => client.send(new CompleteMultipartUploadCommand(command), { abortSignal }),
      COMPLETE_MS,
    );
  } catch (error) {
    const { Bucket, Key } = command;
    const found = await call('HeadObject', signal, (abortSignal) =>
      client.send(new HeadObjectCommand({ Bucket, Key }), { abortSignal }),
    ).catch(() => null);
    if (found?.Metadata?.upload !== upload) throw error;
  }
}
