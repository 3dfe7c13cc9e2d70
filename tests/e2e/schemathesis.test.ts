import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findSchemathesis } from '../../infra/test-tools.ts';
import { isAvailable } from '../support/is-available.ts';
import { type AtlasProcess, makeFolder, removeFolder, runAtlas, startAtlas } from './atlas-process.ts';

const TEST_TIMEOUT_MS = 420_000;
// Shorter, so that a run that takes too long is ended and its report is printed.
const RUN_TIMEOUT_MS = TEST_TIMEOUT_MS - 10_000;
const OPERATOR = '^/v1/operator/';
const PAYING = '^(openAccount|postTransfer|postTransferBatch|postSet|createHold)$';
// Many, so that few requests have the key of another one, which is refused.
const KEYS = 5000;
const command = findSchemathesis();

describe.if(isAvailable('schemathesis', command))('schemathesis, with all its checks', () => {
  let folder: string;
  let atlas: AtlasProcess;
  /** Operations of the runs that leave no operation of theirs out. */
  let tested = 0;
  beforeAll(async () => {
    folder = await makeFolder();
    atlas = await startAtlas(folder, { WEBHOOKS_ALLOWED_HOSTS: '127.0.0.1' });
    // Paths in the configuration are relative to its folder.
    await copyFile(join(import.meta.dir, 'schemathesis.toml'), join(folder, 'schemathesis.toml'));
    const keys = Array.from({ length: KEYS }, (_, i) => `"key-${i}"\n`);
    await writeFile(join(folder, 'schemathesis-keys.txt'), keys.join(''));
    // Given its URL, schemathesis would skip the route of the document itself.
    const served = await (await fetch(`${atlas.url}/openapi.json`)).text();
    await writeFile(join(folder, 'openapi.json'), served);
  });
  afterAll(async () => {
    await atlas?.end('SIGTERM');
    await removeFolder(folder);
  });

  /** Runs it with a key, and returns the number of operations. Throws its report if it finds anything. */
  async function run(key: string, ...options: string[]): Promise<number> {
    const child = Bun.spawn(
      [
        command!,
        ...['--config-file', 'schemathesis.toml', 'run', 'openapi.json', '--url', atlas.url, ...options],
        ...['--checks', 'all', '--no-color', '--header', `Authorization: Bearer ${key}`],
      ],
      { cwd: folder, stdout: 'pipe', stderr: 'pipe', timeout: RUN_TIMEOUT_MS },
    );
    const [report, errors] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    if ((await child.exited) !== 0) throw new Error(`${report}\n${errors}`);
    return Number(/Tested: (\d+)/.exec(report)![1]);
  }

  /** Expects that of each route something was accepted: a run in which every request is refused finds nothing. */
  async function expectAccepted(accepted: readonly (readonly [string, string, number])[]): Promise<void> {
    const metrics = await (await fetch(`${atlas.url}/metrics`)).text();
    for (const [method, path, status] of accepted)
      expect(metrics).toContain(`requests_total{method="${method}",endpoint="${path}",status="${status}"}`);
    expect(metrics).not.toMatch(/requests_total\{[^}]*status="5/);
  }

  test(
    'finds no server error, no undocumented status and no response that violates its schema where money moves',
    async () => {
      // First, and with more requests: later ones close accounts, freeze them, and limit what they pay.
      await run(atlas.key!, '--include-operation-id-regex', PAYING, '--max-examples', '60');
      await expectAccepted([
        ['POST', '/v1/transfers', 201],
        ['POST', '/v1/transfers/batch', 200],
        ['POST', '/v1/sets', 200],
        ['POST', '/v1/holds', 201],
      ]);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    'finds none on all routes of organizations',
    async () => {
      // Those of operators refuse this key whatever else is sent. The next test has the key that opens them.
      tested += await run(atlas.key!, '--exclude-path-regex', OPERATOR);
      await expectAccepted([
        ['POST', '/v1/accounts', 201],
        ['POST', '/v1/webhooks', 201],
        ['POST', '/v1/files', 201],
        ['POST', '/v1/files/uploads', 201],
        ['POST', '/v1/api-keys', 201],
      ]);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    'finds none on the routes of operators either, with the key of one',
    async () => {
      const { stdout } = await runAtlas(folder, ['key', 'create', '--name', 'on-call', '--operator']);
      // Deleting a quota makes the default apply again, which is there.
      const options = ['--include-path-regex', OPERATOR, '--exclude-checks', 'use_after_free'];
      tested += await run(stdout.trim(), ...options);
      await expectAccepted([
        ['GET', '/v1/operator/quotas', 200],
        ['PUT', '/v1/operator/quotas/{kind}/{id}', 200],
        ['GET', '/v1/operator/organizations', 200],
        ['PUT', '/v1/operator/organizations/{id}', 201],
        ['PUT', '/v1/operator/organizations/{id}/suspension', 200],
        ['DELETE', '/v1/operator/organizations/{id}/suspension', 200],
      ]);
    },
    TEST_TIMEOUT_MS,
  );

  test('every operation is among them but the event stream, which never ends', async () => {
    const { paths } = JSON.parse(await readFile(join(folder, 'openapi.json'), 'utf8')) as {
      paths: Record<string, object>;
    };
    expect(Object.keys(paths)).toContain('/v1/events/stream');
    expect(tested).toBe(Object.values(paths).flatMap((path) => Object.keys(path)).length - 1);
  });
});
