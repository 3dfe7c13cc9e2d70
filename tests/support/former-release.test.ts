import { afterEach, beforeEach, describe, expect, spyOn, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { availableFormerReleases } from './former-release.ts';

const isGitHere = Bun.which('git') !== null;

describe.if(isGitHere)('in a repository without the history, tests with former releases', () => {
  const required = process.env.ATLAS_REQUIRE_SERVICES;
  let repository: string;
  beforeEach(() => {
    repository = mkdtempSync(join(tmpdir(), 'atlas-history-'));
    Bun.spawnSync(['git', 'init', '--quiet', repository]);
  });
  afterEach(() => {
    rmSync(repository, { recursive: true });
    if (required === undefined) delete process.env.ATLAS_REQUIRE_SERVICES;
    else process.env.ATLAS_REQUIRE_SERVICES = required;
  });

  test('are skipped with a warning', () => {
    delete process.env.ATLAS_REQUIRE_SERVICES;
    const warn = spyOn(console, 'warn').mockImplementation(() => {});
    expect(availableFormerReleases(repository)).toEqual([]);
    expect(warn.mock.calls.flat().join()).toContain('git fetch --unshallow');
    warn.mockRestore();
  });

  test('fail where skipping is forbidden, and the error names the releases and says what to do', () => {
    process.env.ATLAS_REQUIRE_SERVICES = '1';
    const check = () => availableFormerReleases(repository);
    expect(check).toThrow(/run `git fetch --unshallow`. Not available:\n0\.1\.0 \(e2af6a8\): fatal: /);
  });
});
