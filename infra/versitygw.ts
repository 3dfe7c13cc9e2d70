import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { failure } from './failure.ts';
import { freePort, isPortFree } from './free-port.ts';
import { findGoTool, goTool, installGoTool } from './go-tool.ts';
import { type NativeProcess, startNativeProcess } from './native-process.ts';

const VERSITYGW = goTool('versitygw', '1.8.0', 'github.com/versity/versitygw/cmd/versitygw');
const READY_TIMEOUT_MS = 10_000;
const END_TIMEOUT_MS = 2_000;
// Credentials of every versitygw started here. Not secret: it serves tests, on the loopback interface.
const ACCESS_KEY_ID = 'atlas-tests';
const SECRET_ACCESS_KEY = 'atlas-tests-secret';

/**
 * An S3 (versitygw) started here. Its buckets are the folders of its data, and its objects their files. It waits for
 * idle connections to close, so an orderly stop that takes 2 s becomes a kill.
 */
export interface Versitygw extends NativeProcess {
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly port: number;
}

/** Returns the path of the pinned versitygw, or null if it is not installed. */
export function findVersitygw(): string | null {
  return findGoTool(VERSITYGW);
}

/** Builds the pinned versitygw with Go. Throws what failed, why, and what to do. */
export function installVersitygw(): Promise<void> {
  return installGoTool(VERSITYGW);
}

/**
 * Starts an S3 on the folder with the bucket in it, on the loopback interface. `port` 0 picks a free one. The bytes of
 * an object are in `data/<bucket>/<key>`. Throws the reason that the server wrote if it exits before it is ready.
 */
export async function startVersitygw(folder: string, bucket: string, port = 0): Promise<Versitygw> {
  const binary = findVersitygw();
  if (binary === null)
    throw failure('S3 could not be started.', 'versitygw is not installed', 'npm run services -- install');
  const [data, sidecar] = [join(folder, 'data'), join(folder, 'sidecar')];
  await mkdir(join(data, bucket), { recursive: true });
  const usedPort = port || (await freePort());
  // Another S3 on the port would respond, and be mistaken for the one started here.
  if (!(await isPortFree(usedPort)))
    throw failure('versitygw did not start.', 'its address is in use', remedyFor(usedPort));
  try {
    return await launch(binary, usedPort, [data]);
  } catch (error) {
    if (!/xattrs? .*not support/.test(String(error))) throw error;
    // Without extended attributes, sidecar files hold the metadata. Second choice, because an object and its metadata
    // then change in two steps.
    await mkdir(sidecar, { recursive: true });
    return await launch(binary, usedPort, ['--sidecar', sidecar, data]);
  }
}

async function launch(binary: string, port: number, store: readonly string[]): Promise<Versitygw> {
  const keys = ['--access', ACCESS_KEY_ID, '--secret', SECRET_ACCESS_KEY];
  const endpoint = `http://127.0.0.1:${port}`;
  const started = await startNativeProcess({
    title: 'versitygw',
    command: binary,
    args: ['--port', `127.0.0.1:${port}`, ...keys, '--keep-alive', '--quiet', 'posix', ...store],
    spawn: { env: { PATH: process.env.PATH ?? '' } },
    isReady: () => isS3(endpoint),
    readyTimeoutMs: READY_TIMEOUT_MS,
    endTimeoutMs: END_TIMEOUT_MS,
    remedy: remedyFor(port),
  });
  const credentials = { accessKeyId: ACCESS_KEY_ID, secretAccessKey: SECRET_ACCESS_KEY };
  return { ...started, ...credentials, endpoint, port };
}

/** Whether an unsigned request is rejected with an S3 error. */
async function isS3(endpoint: string): Promise<boolean> {
  try {
    const response = await fetch(endpoint, { keepalive: false, signal: AbortSignal.timeout(1_000) });
    return response.status === 403 && (await response.text()).includes('<Error>');
  } catch {
    return false;
  }
}

function remedyFor(port: number): string {
  return `check whether another process uses its port (${port})`;
}
