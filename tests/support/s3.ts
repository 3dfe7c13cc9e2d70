import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findVersitygw, startVersitygw, type Versitygw } from '../../infra/versitygw.ts';
import { isAvailable } from './is-available.ts';
import { untilStopped } from './stopped-process.ts';

const BUCKET = 'atlas-tests';

/** An S3 of a test's own, with one empty bucket at its start, which the test may kill. */
export interface TestS3 {
  /** What `S3_ENDPOINT`, `S3_BUCKET`, `S3_ACCESS_KEY_ID` and `S3_SECRET_ACCESS_KEY` take. */
  readonly endpoint: string;
  readonly bucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** The folder of the bucket: each object is a file there, under its key, that a test may spoil. */
  readonly folder: string;
  /** Of the process that runs now: it changes with {@link TestS3.restart}. */
  readonly pid: number;
  /** Ends it, with its objects, and waits until it is gone. */
  stop(): Promise<void>;
  /** Ends it as a crash would (SIGKILL) and waits until it is gone. Its objects stay for {@link TestS3.restart}. */
  kill(): Promise<void>;
  /** Stops its time (SIGSTOP): connections stay open and, once this has resolved, nothing answers. */
  pause(): Promise<void>;
  /** Lets its time go on (SIGCONT). */
  resume(): void;
  /** Starts it again with its objects on its port, and kills it first where it still runs. */
  restart(): Promise<void>;
}

const running = new Set<TestS3>();

/** Whether tests on a real S3 can run here. Says so where not; throws with ATLAS_REQUIRE_SERVICES=1. */
export function isS3Here(): boolean {
  return isAvailable('versitygw (S3)', findVersitygw());
}

/** Starts an S3 on the loopback interface. Ends with the tests even when a test forgets it. */
export async function startTestS3(options: { readonly port?: number } = {}): Promise<TestS3> {
  const folder = await mkdtemp(join(tmpdir(), 'atlas-test-s3-'));
  const removeFolder = () => rm(folder, { recursive: true, force: true, maxRetries: 10 });
  let s3: Versitygw;
  try {
    s3 = await startVersitygw(folder, BUCKET, options.port);
  } catch (error) {
    await removeFolder();
    throw error;
  }
  const { endpoint, accessKeyId, secretAccessKey, port } = s3;
  const started: TestS3 = {
    endpoint,
    bucket: BUCKET,
    accessKeyId,
    secretAccessKey,
    folder: join(folder, 'data', BUCKET),
    get pid() {
      return s3.pid;
    },
    async stop() {
      // An end in order would wait for connections that clients keep, and what it has is not wanted any more.
      await s3.end('SIGKILL');
      await removeFolder();
      running.delete(started);
    },
    kill: () => s3.end('SIGKILL'),
    async pause() {
      s3.signal('SIGSTOP');
      await untilStopped(s3.pid);
    },
    resume: () => s3.signal('SIGCONT'),
    async restart() {
      await s3.end('SIGKILL');
      s3 = await startVersitygw(folder, BUCKET, port);
    },
  };
  running.add(started);
  return started;
}

/** Ends every S3 that {@link startTestS3} started and nobody stopped. */
export async function stopTestS3(): Promise<void> {
  for (const s3 of running) await s3.stop();
}
