import { afterAll, beforeAll, expect, test } from 'bun:test';
import { join } from 'node:path';
import { VERSION } from '../../src/version.ts';
import { isAvailable } from '../support/is-available.ts';
import { makeFolder, removeFolder, runAtlas, succeedAtlas } from './atlas-process.ts';

const ROOT = join(import.meta.dir, '..', '..');
const COMMAND_TIMEOUT_MS = 60_000;
let folder: string;
beforeAll(async () => {
  folder = await makeFolder();
});
afterAll(() => removeFolder(folder));

const succeed = (args: readonly string[], settings?: Record<string, string>) =>
  succeedAtlas(folder, args, settings);

test('an unknown command is reported with where to find the list, whatever follows it', async () => {
  for (const args of [['stauts'], ['stauts', '--once'], ['stauts', 'now']]) {
    const { code, stdout, stderr } = await runAtlas(folder, args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('Unknown command: stauts\n');
    expect(stderr).toMatch(/do: +list the commands with: npm run -s atlas -- --help/);
  }
  expect(await succeed(['help', 'status'])).toContain('--once');
});

test(
  'an unknown command, subcommand, option, scope, or fault is reported with the one that was meant',
  async () => {
    const cases: [args: string[], meant: string][] = [
      [['stauts'], 'did you mean status?'],
      [['key', 'creat'], 'did you mean key create?'],
      [['events', 'prked'], 'did you mean events parked?'],
      [['migrate', 'statsu'], 'did you mean migrate status?'],
      [['help', 'kye'], 'did you mean key?'],
      [['help', 'key', 'creat'], 'did you mean key create?'],
      [['status', '--onec'], '(Did you mean --once?)'],
      [['key', 'create', '--name', 'x', '--scopes', 'ping:raed'], 'Did you mean ping:read?'],
      [['demo', '--fault', 'kafka-dwon'], 'Did you mean kafka-down?'],
    ];
    for (const [args, meant] of cases) {
      const { code, stdout, stderr } = await runAtlas(folder, args);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toContain(meant);
    }
  },
  COMMAND_TIMEOUT_MS,
);

test(
  'atlas is a command of the clone, for npm and for Bun',
  async () => {
    const env = { PATH: process.env.PATH ?? '', HOME: folder };
    const output = async (...command: string[]) => {
      const child = Bun.spawn(command, { cwd: ROOT, env, stdout: 'pipe', stderr: 'ignore' });
      const text = await new Response(child.stdout).text();
      return { code: await child.exited, text: text.trim() };
    };
    const works = { code: 0, text: VERSION };
    if (isAvailable('npm', Bun.which('npm'))) {
      expect(await output('npm', 'exec', '--offline', 'atlas', '--', '--version')).toEqual(works);
      expect(await output('npx', '--offline', 'atlas', '--version')).toEqual(works);
    }
    expect(await output(process.execPath, join('infra', 'link-bin.mjs'))).toMatchObject({ code: 0 });
    expect(await output(process.execPath, 'x', '--no-install', 'atlas', '--version')).toEqual(works);
  },
  COMMAND_TIMEOUT_MS,
);

test('an unknown command, an unknown option, or a missing option exits with 1 and an error', async () => {
  for (const args of [['no-such-command'], ['serve', '--no-such-option'], ['key', 'create']]) {
    const { code, stderr } = await runAtlas(folder, args);
    expect(code).toBe(1);
    expect(stderr).not.toBe('');
    expect(stderr).not.toContain('    at ');
  }
});

test('the launcher that npm runs on Node starts Atlas', async () => {
  const node = Bun.which('node');
  if (!isAvailable('Node', node)) return;
  const child = Bun.spawn([node, join(ROOT, 'infra', 'launch.mjs'), 'src/main.ts', '--version'], {
    stdout: 'pipe',
    env: { PATH: process.env.PATH ?? '', HOME: folder },
  });
  expect((await new Response(child.stdout).text()).trim()).toBe(VERSION);
  expect(await child.exited).toBe(0);
});

test('a key with a blank name or owner is refused, with the option that is blank', async () => {
  for (const [option, args] of [
    ['--name', ['--name', ' ']],
    ['--owner', ['--name', 'ci', '--owner', '']],
  ] as const) {
    const { code, stdout, stderr } = await runAtlas(folder, ['key', 'create', ...args]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(`option '${option} <text>'`);
    expect(stderr).toContain('It must not be blank.');
  }
});

test('a name with invisible characters is refused', async () => {
  const name = ['--name', 'Ada\u202e'];
  for (const args of [
    ['key', 'create', ...name],
    ['users', 'create', 'ada@example.com', '--organization', 'acme', ...name],
  ]) {
    const { code, stderr } = await runAtlas(folder, args);
    expect(code).toBe(1);
    expect(stderr).toContain('It must be one line of visible characters.');
  }
});
