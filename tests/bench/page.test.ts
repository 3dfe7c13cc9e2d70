import { describe, expect, test } from 'bun:test';
import { exists, textOf } from '../support/source-tree.ts';
import { DATA_FILE, PAGE_FILE, pageOf, plotFile, plotsOf } from './page.ts';
import { type PageData, withReport } from './report.ts';

const data = (): PageData => JSON.parse(textOf(DATA_FILE));

describe('the page of the benchmarks', () => {
  test('is what the writer makes of its data', () => {
    expect(textOf(PAGE_FILE)).toBe(pageOf(data()));
  });

  test('has the plots that the writer draws from its data', () => {
    const plots = Object.entries(plotsOf(data().bench));
    expect(plots.length).toBeGreaterThan(0);
    for (const [name, svg] of plots) expect(textOf(plotFile(name))).toBe(svg);
    for (const [, file] of textOf(PAGE_FILE).matchAll(/\]\(plots\/([^)]+)\)/g))
      expect(exists(plotFile(file!))).toBe(true);
  });

  test('lists every target with its result', () => {
    const { targets } = data().bench;
    const page = pageOf(data());
    for (const { name } of targets) expect(page).toContain(`| ${name} |`);
    expect(targets.every(({ measured }) => measured !== '')).toBe(true);
  });

  test('leaves out parts that were not measured', () => {
    const { conditions } = data().bench;
    const page = pageOf({ bench: { conditions, parts: {}, targets: [] }, others: {} });
    expect(page).toContain('## Targets');
    expect(page).not.toContain('## Transfers');
    expect(page).not.toContain('](plots/');
  });
});

describe('the data of the page', () => {
  const { conditions } = data().bench;
  const target = { name: 'speed', target: '≥ 1', measured: '2', result: 'met' } as const;
  const bench = { name: 'bench', conditions, parts: {}, targets: [target] };

  test('keep the runs of other benchmarks when a new run is put in, in the order of their names', () => {
    let all = withReport(null, bench);
    for (const name of ['relay', 'files'])
      all = withReport(all, { name, conditions, targets: [target], drains: [] });
    const next = withReport(all, { ...bench, targets: [] });
    expect(Object.keys(next.others)).toEqual(['files', 'relay']);
    expect(next.others.relay).toEqual({ conditions, targets: [target] });
    expect(next.bench.targets).toEqual([]);
    expect(pageOf(next)).toContain('### `bench:relay`');
  });

  test('are not made of anything else', () => {
    expect(() => withReport(null, { conditions })).toThrow('not the JSON of a benchmark');
    expect(() => withReport(null, { name: 'relay', conditions, targets: [] })).toThrow('npm run bench');
  });
});
