import { describe, expect, test } from 'bun:test';
import { choice, flag, positiveInteger, readOptions, text } from './command.ts';

const command = {
  name: 'bench:things',
  summary: 'Measures things.',
  options: {
    quick: flag('short rounds'),
    only: choice(['one', 'two'], 'one part'),
    rows: positiveInteger(7, 'rows in a batch'),
    compare: text(' REVISION', 'another revision'),
  },
};

describe('the options of a benchmark', () => {
  test('have defaults', () => {
    expect(readOptions(command, [])).toEqual({ quick: false, only: null, rows: 7, compare: null });
  });

  test('are read from the command line', () => {
    const args = ['--quick', '--only', 'two', '--rows', '12', '--compare', 'main~2'];
    expect(readOptions(command, args)).toEqual({ quick: true, only: 'two', rows: 12, compare: 'main~2' });
  });

  test('are not read for --help', () => {
    expect(readOptions(command, ['--rows', 'none', '-h'])).toBeNull();
  });

  test.each([
    [['--only', 'three'], 'Invalid value for --only: three'],
    [['--rows', '0'], 'Invalid value for --rows: 0'],
    [['--rows', '1.5'], 'Invalid value for --rows: 1.5'],
    [['--compare', ''], 'Invalid value for --compare: '],
    [['--fast'], "Unknown option '--fast'"],
  ])('%j is refused with the usage', (args, reason) => {
    expect(() => readOptions(command, args)).toThrow(reason);
    expect(() => readOptions(command, args)).toThrow(`Measures things.

  npm run bench:things -- [--quick] [--only one|two] [--rows N] [--compare REVISION]

  --quick    short rounds
  --only     one part
  --rows     rows in a batch
  --compare  another revision`);
  });
});
