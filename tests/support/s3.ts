import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findVersitygw, startVersitygw } from '../../infra/versitygw.ts';
import { isAvailable } from './is-available.ts';
import { type StartOptions, startService, type TestService } from './test-service.ts';

const BUCKET = 'atlas-tests';

/** An S3 (versitygw) with one bucket, which is empty at first. */
export interface TestS3 extends TestService {
  readonly endpoint: string;
  readonly bucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** The folder of the bucket: each object is a file under its key, which a test may corrupt. */
  readonly folder: string;
}

/** Whether tests on a real S3 can run here. Throws if ATLAS_REQUIRE_SERVICES=1 and it is missing. */
export function isS3Here(): boolean {
  return isAvailable('versitygw (S3)', findVersitygw());
}

/** Starts an S3 on the loopback interface. */
export async function startTestS3(options: StartOptions = {}): Promise<TestS3> {
  const folder = await mkdtemp(join(tmpdir(), 'atlas-test-s3-'));
  const { service, first } = await startService({
    ...options,
    start: (port) => startVersitygw(folder, BUCKET, port),
    deleteData: () => rm(folder, { recursive: true, force: true, maxRetries: 10 }),
    // A shutdown would wait for connections that clients keep open.
    stopSignal: 'SIGKILL',
  });
  const { endpoint, accessKeyId, secretAccessKey } = first;
  const bucketFolder = join(folder, 'data', BUCKET);
  return Object.assign(service, {
    endpoint,
    bucket: BUCKET,
    accessKeyId,
    secretAccessKey,
    folder: bucketFolder,
  });
}

/** The settings with which Atlas uses this S3, through a proxy if an endpoint is given. */
export function s3Settings(
  { bucket, accessKeyId, secretAccessKey, ...s3 }: Omit<TestS3, keyof TestService | 'folder'>,
  endpoint = s3.endpoint,
): Record<string, string> {
  return {
    S3_ENDPOINT: endpoint,
    S3_BUCKET: bucket,
    S3_ACCESS_KEY_ID: accessKeyId,
    S3_SECRET_ACCESS_KEY: secretAccessKey,
  };
}
