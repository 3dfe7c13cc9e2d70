import { describe, expect, test } from 'bun:test';
import { basename, dirname, join, normalize } from 'node:path';
import { envExample, settingsPage } from '../../src/cli/settings-text.ts';
import { brokenAnchorsOf } from '../support/document-anchors.ts';
import { exists, filesOf, isFolder, textOf } from '../support/source-tree.ts';

const DOCUMENTS = filesOf('*.md', 'docs/**/*.md').filter((path) => path !== 'CHANGELOG.md');

describe('the documents', () => {
  const PATH = /^(?:src|tests|sql|infra|docs|\.ci)\/[\w./*-]*/;
  const FILE_NAME = /^[\w-][\w.-]*\.(?:ts|mjs|sql|md|toml|lock)$/;
  const everyFile = filesOf('*', '{src,tests,sql,infra,docs,.ci}/**/*');

  /** `src/features/NAME/feature.ts` means any feature. */
  const isPlaceholder = (path: string) => /\bNAME\b/.test(path);

  function isThere(path: string): boolean {
    const plain = path.replace(/[./]+$/, '');
    if (path.includes('*')) return filesOf(path).length > 0;
    return exists(plain) || isFolder(plain);
  }

  test.each(DOCUMENTS)('%s names only paths that exist', (document) => {
    const text = textOf(document);
    const words = text.split(/[\s`'"()[\]<>|,;]+/).map((word) => PATH.exec(word)?.[0]);
    const missing = words.filter((path) => path !== undefined && !isPlaceholder(path) && !isThere(path));
    const quoted = [...text.matchAll(/`([^`\n]+)`/g)].map(([, inside]) => inside!);
    const strangers = quoted.filter(
      (name) =>
        FILE_NAME.test(name) && !isPlaceholder(name) && !everyFile.some((path) => basename(path) === name),
    );
    expect([...missing, ...strangers]).toEqual([]);
  });

  test.each(DOCUMENTS)('%s links only to files that exist', (document) => {
    const targets = [...textOf(document).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
    const local = targets.filter((target) => !/^(?:[a-z]+:|#)/.test(target));
    const missing = local.filter((target) => {
      return !exists(normalize(join(dirname(document), target.replace(/#.*$/, ''))));
    });
    expect(missing).toEqual([]);
  });

  test('list the settings as the schema declares them', () => {
    expect(textOf('.env.example')).toBe(envExample());
    expect(textOf('docs/settings.md')).toBe(settingsPage());
  });

  test('list every layer of the pipeline in ADR 002, outermost first', () => {
    const list = /\): Middleware\[\] \{\s+return \[([\s\S]*?)\n {2}\];/.exec(textOf('src/app.ts'))![1]!;
    const layers = [...list.matchAll(/^ {4}(\w+)\(/gm)].map(([, name]) => name!);
    expect(layers.length).toBeGreaterThan(10);
    const rows = [...textOf('docs/adr/002-the-envelope.md').matchAll(/^\| `(\w+)` \|/gm)];
    expect(rows.map(([, name]) => name!)).toEqual(layers);
  });

  test('list every script, and every script runs a file that exists', () => {
    const scripts: Record<string, string> = JSON.parse(textOf('package.json')).scripts;
    const contributing = textOf('CONTRIBUTING.md');
    const unlisted = Object.keys(scripts).filter((name) => !contributing.includes(`| \`${name}\` |`));
    expect(unlisted).toEqual([]);
    const files = Object.values(scripts).flatMap(
      (script) => script.match(/\b(?:src|infra|tests)\/[\w./-]+/g) ?? [],
    );
    expect(files.filter((path) => !exists(path))).toEqual([]);
  });

  test.each(DOCUMENTS)('%s links only to headings that exist', (document) => {
    expect(brokenAnchorsOf(document)).toEqual([]);
  });
});
