import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommitterRole } from '../../../src/cluster/committer-role.ts';
import type { FromWorker } from '../../../src/cluster/messages.ts';
import type { HostCommitter } from '../../../src/features/ledger/transfers/host-committer.ts';
import type { Logger } from '../../../src/instrumentation/logger.ts';
import { VERSION } from '../../../src/version.ts';

const version = `${VERSION} 2`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atlas-role-'));
});
afterAll(() => rm(folder, { recursive: true }));

function roleOf({ workers = 2, dataDir = folder } = {}) {
  const calls: string[] = [];
  const sent: FromWorker[] = [];
  const warnings: string[] = [];
  const role = new CommitterRole({
    committer: {
      protocol: 2,
      serve: (path: string) => void calls.push(`serve ${path.split('/').at(-1)}`),
      stopServing: async () => void calls.push('stop'),
      join: (path: string | null) => void calls.push(`join ${path}`),
    } as unknown as HostCommitter,
    config: { ATLAS_DATA_DIR: dataDir, API_PORT: 8000 },
    identity: { slot: 1, incarnation: 3, workers },
    channel: { send: async (message) => void sent.push(message) },
    logger: { warn: (_: unknown, text: string) => void warnings.push(text) } as unknown as Logger,
  });
  return { role, calls, sent, warnings };
}

test('the worker with the jobs of the host listens, and reports where', async () => {
  const { role, calls, sent } = roleOf();
  role.assign(true);
  expect(calls).toEqual(['stop', 'serve commit-8000-1-3.sock']);
  expect(sent).toEqual([
    {
      kind: 'committing',
      committer: { socket: expect.stringContaining('commit-8000-1-3.sock') as string, version },
    },
  ]);
  await role.stop();
  expect(calls.at(-1)).toBe('stop');
});

test('a single worker has no socket', () => {
  const { role, calls, sent } = roleOf({ workers: 1 });
  role.assign(true);
  expect([calls, sent]).toEqual([[], []]);
});

test('a worker that cannot listen says so, and every worker posts its own payments', () => {
  const { role, sent, warnings } = roleOf({ dataDir: join(folder, 'x'.repeat(100)) });
  role.assign(true);
  expect(sent).toEqual([]);
  expect(warnings).toHaveLength(1);
});

test('payments go to a committer of the same version only', () => {
  const { role, calls } = roleOf();
  role.join({ socket: 'a', version });
  role.join({ socket: 'b', version: 'another' });
  expect(calls).toEqual(['join a', 'join null']);
});

test('payments do not go to a committer of an older revision, which would not know both ids of a transfer', () => {
  const { role, calls } = roleOf();
  role.join({ socket: 'a', version: VERSION });
  expect(calls).toEqual(['join null']);
});
