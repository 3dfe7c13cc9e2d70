import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findSchemathesis } from '../../infra/test-tools.ts';
import { isAvailable } from '../support/is-available.ts';
import { type AtlasProcess, makeFolder, removeFolder, startAtlas } from './atlas-process.ts';

const RUN_TIMEOUT_MS = 180_000;
const KEYS = 300;
const command = findSchemathesis();

describe.if(isAvailable('schemathesis', command))('schemathesis, with all its checks', () => {
  let folder: string;
  let atlas: AtlasProcess;
  beforeAll(async () => {
    folder = await makeFolder();
    atlas = await startAtlas(folder, { WEBHOOKS_ALLOWED_HOSTS: '127.0.0.1' });
  });
  afterAll(async () => {
    await atlas?.end('SIGTERM');
    await removeFolder(folder);
  });

  test(
    'finds no server error, no undocumented status and no response that violates its schema',
    async () => {
      // Paths in the configuration are relative to its folder.
      const config = join(folder, 'schemathesis.toml');
      await copyFile(join(import.meta.dir, 'schemathesis.toml'), config);
      const keys = Array.from({ length: KEYS }, (_, i) => `"key-${i}"\n`);
      await writeFile(join(folder, 'schemathesis-keys.txt'), keys.join(''));

      // Given its URL, schemathesis would skip the route of the document itself.
      const served = await (await fetch(`${atlas.url}/openapi.json`)).text();
      await writeFile(join(folder, 'openapi.json'), served);

      const child = Bun.spawn(
        [
          command!,
          ...['--config-file', config, 'run', 'openapi.json', '--url', atlas.url],
          ...['--checks', 'all', '--no-color', '--header', `Authorization: Bearer ${atlas.key}`],
        ],
        { cwd: folder, stdout: 'pipe', stderr: 'pipe' },
      );
      const [report, errors] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]);
      if ((await child.exited) !== 0) throw new Error(`${report}\n${errors}`);

      // A run in which every request is refused would find nothing either.
      const metrics = await (await fetch(`${atlas.url}/metrics`)).text();
      for (const [path, status] of [
        ['/v1/accounts', 201],
        ['/v1/transfers', 201],
        ['/v1/webhooks', 201],
        ['/v1/files', 201],
        ['/v1/files/uploads', 201],
        ['/v1/transfers/batch', 200],
      ])
        expect(metrics).toContain(`requests_total{method="POST",endpoint="${path}",status="${status}"}`);
      expect(metrics).not.toMatch(/requests_total\{[^}]*status="5/);
      const [, tested] = /Tested: (\d+)/.exec(report)!;
      const { paths } = JSON.parse(served) as { paths: Record<string, object> };
      // All but the event stream, which never ends, and what ends keys.
      expect(Object.keys(paths)).toContain('/v1/events/stream');
      expect(Number(tested)).toBe(Object.values(paths).flatMap((path) => Object.keys(path)).length - 3);
    },
    RUN_TIMEOUT_MS,
  );
});
