import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { claimPort } from '../../../src/cluster/claim-port.ts';
import { serveStatus, statusSocketPath } from '../../../src/cluster/status-socket.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atlas-port-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Returns the error for a port that is in use, without waiting for it to become free. */
async function claimError(dataDir: string, port: number, hostname = '127.0.0.1'): Promise<string> {
  const claim = claimPort(hostname, port, dataDir, 0);
  return claim.then(String, (error: Error) => error.message);
}

test('the error for a port in use identifies an Atlas of the same folder, but not of another one', async () => {
  const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response() });
  const port = server.port!;
  const status = { pid: 4711, host: '127.0.0.1', port, uptimeSeconds: 1, cap: 1, slots: [], admin: null };
  const socket = serveStatus(statusSocketPath(folder, port), folder, () => status);
  try {
    const error = await claimError(folder, port);
    expect(error).toContain(`Atlas is already running on port ${port} (supervisor pid 4711).`);
    expect(error).toMatch(/do: +check it with npm run status, or set API_PORT/);
    const elsewhere = await claimError(join(folder, 'elsewhere'), port);
    expect(elsewhere).toContain(`Atlas cannot listen on 127.0.0.1:${port}.`);
    expect(elsewhere).toMatch(/do: +stop the process that uses the port, or set API_PORT/);
  } finally {
    await socket.close();
    await server.stop(true);
  }
});

test('the error for an address of another host does not blame the port', async () => {
  // TEST-NET-3 of RFC 5737 is never assigned.
  const error = await claimError(folder, 0, '203.0.113.1');
  expect(error).toContain('203.0.113.1 is not an address of this host');
  expect(error).toMatch(/do: +set API_HOST/);
  expect(error).not.toContain('API_PORT');
});

test('the error for a name that cannot be resolved says so, and does not blame the port', async () => {
  // RFC 6761 reserves the domain, so that it is never resolved.
  const error = await claimError(folder, 0, 'atlas.invalid');
  expect(error).toContain('Atlas cannot listen on atlas.invalid:0.');
  expect(error).toContain('the name atlas.invalid cannot be resolved');
  expect(error).toMatch(/do: +set API_HOST/);
  expect(error).not.toContain('API_PORT');
});

test('the error for an IPv6 address shows it as in a URL', async () => {
  expect(await claimError(folder, 0, '2001:db8::1')).toContain('Atlas cannot listen on [2001:db8::1]:0.');
});
