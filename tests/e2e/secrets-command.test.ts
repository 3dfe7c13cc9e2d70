import { afterAll, beforeAll, expect, test } from 'bun:test';
import { freshDatabase } from '../support/database.ts';
import { makeFolder, removeFolder, runAtlas, succeedAtlas } from './atlas-process.ts';

const COMMAND_TIMEOUT_MS = 60_000;
let folder: string;
let settings: Record<string, string>;
beforeAll(async () => {
  folder = await makeFolder();
  settings = { DATABASE_URL: await freshDatabase(), ENVIRONMENT: 'production' };
}, COMMAND_TIMEOUT_MS);
afterAll(() => removeFolder(folder));

const secretsPart = async (more: Record<string, string>) => {
  const { stdout } = await runAtlas(folder, ['doctor', '--json'], { ...settings, ...more });
  const { parts, problems, notes } = JSON.parse(stdout);
  return { part: parts.find(({ part }: { part: string }) => part === 'secrets'), problems, notes };
};

test(
  'atlas secrets key prints a new key each time, which the settings take and never show',
  async () => {
    const [key, other] = await Promise.all(
      [0, 1].map(() => succeedAtlas(folder, ['secrets', 'key'], settings)),
    );
    expect(key).toMatch(/^[\w+/]{43}=\n$/);
    expect(other).not.toBe(key!);
    const shown = await succeedAtlas(folder, ['config'], {
      SECRETS_KEY: key!.trim(),
      SECRETS_FORMER_KEYS: other!.trim(),
    });
    expect(shown).toMatch(/^SECRETS_KEY +\*+ +environment/m);
    for (const text of [key!, other!]) expect(shown).not.toContain(text.slice(0, 20));
    const refused = await runAtlas(folder, ['config'], { SECRETS_KEY: 'too short' });
    expect(refused.stderr).not.toContain('too short');
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('is not base64 of 32 bytes') });
  },
  COMMAND_TIMEOUT_MS,
);

test(
  'atlas secrets rotate seals what is stored plain, and atlas doctor says how secrets are stored',
  async () => {
    const key = (await succeedAtlas(folder, ['secrets', 'key'])).trim();
    const without = await secretsPart({});
    expect(without.part.mode).toBe('plain text');
    expect(without.problems.join()).toContain('secrets key');
    const keyless = await runAtlas(folder, ['secrets', 'rotate'], settings);
    expect(keyless).toMatchObject({ code: 1, stderr: expect.stringContaining('SECRETS_KEY is not set') });
    const sealed = await succeedAtlas(folder, ['secrets', 'rotate'], { ...settings, SECRETS_KEY: key });
    expect(sealed).toStartWith('No secret had to be sealed.');
    const after = await secretsPart({ SECRETS_KEY: key });
    expect(after.part.mode).toBe('sealed');
    expect(after.problems.filter((problem: string) => /secret/i.test(problem))).toEqual([]);
  },
  COMMAND_TIMEOUT_MS,
);
