import { expect } from 'bun:test';
import { runAtlas } from './atlas-process.ts';

/** What the passwords in the settings of these tests contain, right or wrong. */
const SECRETS = /not-to-be-seen|wrong-one/;

/** Expects that `serve` and `doctor` report what failed, why, and what to do, and show no password. */
export async function expectUnusable(
  folder: string,
  settings: Record<string, string>,
  fault: RegExp,
  remedy: string,
): Promise<void> {
  const start = await runAtlas(folder, ['serve'], settings);
  expect({ remedy, code: start.code, stderr: start.stderr }).toMatchObject({ remedy, code: 1 });
  expect(start.stderr).toMatch(fault);
  expect(start.stderr).toContain(`\n  do:   ${remedy}`);
  const doctor = await runAtlas(folder, ['doctor'], settings);
  expect(doctor.code).toBe(1);
  expect(doctor.stdout).toMatch(fault);
  expect(doctor.stdout).toContain(`\n  do:   ${remedy}`);
  for (const text of [start.stdout, start.stderr, doctor.stdout, doctor.stderr])
    expect(text).not.toMatch(SECRETS);
}
