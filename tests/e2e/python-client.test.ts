import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { findClientGenerator } from '../../infra/test-tools.ts';
import { GENERATED } from '../../src/cli/docs.ts';
import { isAvailable } from '../support/is-available.ts';
import { START_TIMEOUT_MS } from '../support/test-app.ts';
import { type AtlasProcess, makeFolder, removeFolder, startAtlas } from './atlas-process.ts';

const RUN_TIMEOUT_MS = 120_000;
const commands = findClientGenerator();

describe.if(isAvailable('openapi-python-client', commands))(
  'a client that is generated from the contract',
  () => {
    let folder: string;
    let atlas: AtlasProcess;
    beforeAll(async () => {
      folder = await makeFolder();
      atlas = await startAtlas(folder);
    }, START_TIMEOUT_MS);
    afterAll(async () => {
      await atlas?.end('SIGTERM');
      await removeFolder(folder);
    });

    function run(command: string, args: readonly string[]): { code: number | null; output: string } {
      const env = { ...process.env, PATH: `${commands}:${process.env.PATH}`, PYTHONPATH: folder };
      const { status, stdout, stderr } = spawnSync(join(commands!, command), args, {
        cwd: folder,
        env,
        encoding: 'utf8',
      });
      return { code: status, output: `${stdout}${stderr}` };
    }

    test(
      'lacks nothing, has sound types, and moves money and files',
      () => {
        const contract = join(import.meta.dir, '../..', GENERATED.openApi);
        const client = join(folder, 'atlas_client');
        const generated = run('openapi-python-client', [
          'generate',
          ...['--path', contract, '--output-path', client, '--meta', 'none', '--fail-on-warning'],
        ]);
        expect({ ...generated, output: generated.output.trim() }).toEqual({
          code: 0,
          output: `Generating ${client}`,
        });

        // Its own runtime is not checked: that is the same for every contract.
        const checked = run('mypy', ['--follow-imports=silent', join(client, 'api'), join(client, 'models')]);
        expect(checked).toEqual({ code: 0, output: expect.stringContaining('no issues found') });

        const used = run('python', [join(import.meta.dir, 'python-client.py'), atlas.url, atlas.key!]);
        expect(used).toEqual({ code: 0, output: 'done\n' });
      },
      RUN_TIMEOUT_MS,
    );
  },
);
