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

/** Why the port of a server that listens cannot be had, told at once. */
async function refusalOf(dataDir: string, port: number, hostname = '127.0.0.1'): Promise<string> {
  const refused = claimPort(hostname, port, dataDir, 0);
  return refused.then(String, (error: Error) => error.message);
}

test('a port that an Atlas of the same folder has is told with its supervisor, and another folder does not know it', async () => {
  const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response() });
  const port = server.port!;
  const status = { pid: 4711, host: '127.0.0.1', port, uptimeSeconds: 1, cap: 1, slots: [] };
  const socket = serveStatus(statusSocketPath(folder, port), folder, () => status);
  try {
    const refusal = await refusalOf(folder, port);
    expect(refusal).toContain(`Atlas already runs on port ${port} (supervisor pid 4711).`);
    expect(refusal).toMatch(/do: +look at it with npm run status, or set API_PORT/);
    const elsewhere = await refusalOf(join(folder, 'elsewhere'), port);
    expect(elsewhere).toContain(`Atlas cannot listen on 127.0.0.1:${port}.`);
    expect(elsewhere).toMatch(/do: +stop what uses the port, or set API_PORT/);
  } finally {
    await socket.close();
    await server.stop(true);
  }
});

test('an address of another host is told as one, and not as a port that is taken', async () => {
  // TEST-NET-3 of RFC 5737 is nobody's address.
  const refusal = await refusalOf(folder, 0, '203.0.113.1');
  expect(refusal).toContain('203.0.113.1 is not an address of this host');
  expect(refusal).toMatch(/do: +set API_HOST/);
  expect(refusal).not.toContain('API_PORT');
});
