import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { listeningAddresses } from '../../support/listening-addresses.ts';
import { isS3Here, startTestS3, type TestS3 } from '../../support/s3.ts';

const PART_BYTES = 5 << 20;

function clientOf(s3: TestS3, secretAccessKey = s3.secretAccessKey): S3Client {
  return new S3Client({
    endpoint: s3.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId: s3.accessKeyId, secretAccessKey },
  });
}

/** Returns the S3 code of the failure that a test expects. */
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'accepted',
    (error: Error) => error.name,
  );

describe.if(isS3Here())('a test S3', () => {
  let s3: TestS3;
  let client: S3Client;
  let bucket: { readonly Bucket: string };

  beforeAll(async () => {
    s3 = await startTestS3();
    client = clientOf(s3);
    bucket = { Bucket: s3.bucket };
  });
  afterAll(async () => {
    client.destroy();
    await s3.stop();
  });

  const bodyOf = async (Key: string) =>
    (await client.send(new GetObjectCommand({ ...bucket, Key }))).Body!.transformToByteArray();

  test('listens on the loopback interface only, and has an empty bucket', async () => {
    expect((await client.send(new ListObjectsV2Command(bucket))).KeyCount).toBe(0);
    expect(await listeningAddresses(s3.pid)).toEqual(['127.0.0.1']);
  });

  test('rejects a wrong signature, and bytes that do not match their checksum', async () => {
    const stranger = clientOf(s3, 'not-the-secret');
    const put = { ...bucket, Key: 'refused', Body: 'bytes' };
    expect(await codeOf(stranger.send(new PutObjectCommand(put)))).toBe('SignatureDoesNotMatch');
    const wrong = { ...put, ChecksumSHA256: Buffer.alloc(32).toString('base64') };
    expect(await codeOf(client.send(new PutObjectCommand(wrong)))).not.toBe('accepted');
    expect(await codeOf(client.send(new HeadObjectCommand({ ...bucket, Key: 'refused' })))).toBe('NotFound');
    stranger.destroy();
  });

  test('stores an object in a file of its bucket, with its metadata', async () => {
    const Key = 'ab/cd/report';
    await client.send(new PutObjectCommand({ ...bucket, Key, Body: 'bytes', ContentType: 'text/csv' }));
    expect(await readFile(join(s3.folder, Key), 'utf8')).toBe('bytes');
    const head = await client.send(new HeadObjectCommand({ ...bucket, Key }));
    expect(head).toMatchObject({ ContentLength: 5, ContentType: 'text/csv' });
    // Without versions, what is overwritten is gone.
    expect(head.VersionId).toBeUndefined();
  });

  test('has every object and the parts of open uploads after a kill, on the same port', async () => {
    const Key = 'kept-over-a-kill';
    await client.send(new PutObjectCommand({ ...bucket, Key: 'whole', Body: 'whole' }));
    const upload = new CreateMultipartUploadCommand({ ...bucket, Key, ChecksumAlgorithm: 'CRC32' });
    const { UploadId } = await client.send(upload);
    const bytes = new Uint8Array(PART_BYTES).fill(7);
    const part = { ...bucket, Key, UploadId, PartNumber: 1, ChecksumAlgorithm: 'CRC32' as const };
    const { ETag, ChecksumCRC32 } = await client.send(new UploadPartCommand({ ...part, Body: bytes }));
    const { endpoint, pid } = s3;
    await s3.kill();
    expect(await codeOf(client.send(new HeadObjectCommand({ ...bucket, Key: 'whole' })))).not.toBe(
      'accepted',
    );

    await s3.restart();
    expect(s3.endpoint).toBe(endpoint);
    expect(s3.pid).not.toBe(pid);
    expect(await codeOf(client.send(new HeadObjectCommand({ ...bucket, Key })))).toBe('NotFound');
    const MultipartUpload = { Parts: [{ PartNumber: 1, ETag, ChecksumCRC32 }] };
    await client.send(new CompleteMultipartUploadCommand({ ...bucket, Key, UploadId, MultipartUpload }));
    expect(Buffer.compare(await bodyOf(Key), bytes)).toBe(0);
    expect(Buffer.from(await bodyOf('whole')).toString()).toBe('whole');
  });

  test('does not respond while it is paused, and does afterwards', async () => {
    await s3.pause();
    const abortSignal = AbortSignal.timeout(300);
    const silent = client.send(new ListObjectsV2Command(bucket), { abortSignal });
    expect(await codeOf(silent)).not.toBe('accepted');
    s3.resume();
    expect(await codeOf(client.send(new ListObjectsV2Command(bucket)))).toBe('accepted');
  });

  test('reports why it failed to start when its port is taken', async () => {
    const port = Number(new URL(s3.endpoint).port);
    const refusal = startTestS3({ port });
    await expect(refusal).rejects.toThrow(
      `versitygw did not start.\n  why:  its address is in use\n  do:   check whether another process uses its port (${port})`,
    );
  });
});
