import { afterAll, beforeAll, expect, test } from 'bun:test';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import {
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from '../../../src/adapters/postgres/embedded/postgres-server.ts';
import { until } from '../../support/until.ts';

const OPTIONS = { connectionsMax: 10, preferredPort: 0, create: true };
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atlas-sharing-'));
  await chmod(folder, 0o755);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function responds({ url }: EmbeddedPostgres): Promise<boolean> {
  // Not the driver's type, which says a number: the driver leaves out zero.
  const connection = { idle_session_timeout: '0' as never };
  const sql = postgres(url, { max: 1, connect_timeout: 2, connection });
  try {
    return (await sql`SELECT true AS yes`)[0]!.yes;
  } catch {
    return false;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

function postmasterPid(): Promise<number> {
  return readFile(join(folder, 'postgres/18/postmaster.pid'), 'utf8').then((text) =>
    Number(text.split('\n')[0]),
  );
}

function stateOf(pid: number): Promise<string> {
  return new Response(Bun.spawn(['ps', '-o', 'stat=', '-p', String(pid)]).stdout).text();
}

test('a command that joins the server of an idle Atlas leaves it running, and the last one stops it', async () => {
  const atlas = await startEmbeddedPostgres(folder, OPTIONS);
  const command = await startEmbeddedPostgres(folder, OPTIONS);
  expect(command.port).toBe(atlas.port);

  await command.stop();
  expect(await responds(atlas)).toBe(true);

  await atlas.stop();
  expect(await responds(atlas)).toBe(false);
});

test('an idle timeout of its user does not make the server of an idle Atlas look unused', async () => {
  const first = await startEmbeddedPostgres(folder, OPTIONS);
  const sql = postgres(first.url, { max: 1 });
  await sql`ALTER ROLE atlas SET idle_session_timeout = '1ms'`;
  await sql.end();
  await first.stop();

  const atlas = await startEmbeddedPostgres(folder, OPTIONS);
  const command = await startEmbeddedPostgres(folder, OPTIONS);
  await command.stop();
  expect(await responds(atlas)).toBe(true);
  await atlas.stop();
});

test('a killed server is restarted even if its parent never reaped it', async () => {
  const module = join(import.meta.dir, '../../../src/adapters/postgres/embedded/postgres-server.ts');
  const script = `const { startEmbeddedPostgres } = await import(${JSON.stringify(module)});
    await startEmbeddedPostgres(${JSON.stringify(folder)}, ${JSON.stringify(OPTIONS)});
    console.log('ready'); setInterval(() => {}, 1000);`;
  const parent = Bun.spawn([process.execPath, '-e', script], { stdout: 'pipe', stderr: 'inherit' });
  await parent.stdout.getReader().read();
  const pid = await postmasterPid();
  parent.kill('SIGSTOP');
  process.kill(pid, 'SIGKILL');
  await until(async () => (await stateOf(pid)).startsWith('Z'));

  const next = await startEmbeddedPostgres(folder, OPTIONS);
  expect(await postmasterPid()).not.toBe(pid);
  expect(await responds(next)).toBe(true);

  await next.stop();
  parent.kill('SIGKILL');
  await parent.exited;
});
