import { parseArgs } from 'node:util';
import { undoAll, undoOnSignals } from './clean-up.ts';

/** An option of a benchmark, as it is written in its usage and read from the command line. */
export interface BenchOption<T> {
  readonly type: 'boolean' | 'string';
  /** What follows the name in the usage, such as ` N`. */
  readonly value: string;
  readonly text: string;
  /** Returns undefined for a value that is not allowed. */
  readonly read: (given: string | boolean | undefined) => { readonly value: T } | undefined;
}

type Options = Readonly<Record<string, BenchOption<unknown>>>;
type Values<O extends Options> = { readonly [N in keyof O]: O[N] extends BenchOption<infer T> ? T : never };

/** A switch, off by default. */
export function flag(text: string): BenchOption<boolean> {
  return { type: 'boolean', value: '', text, read: (given) => ({ value: given === true }) };
}

/** One of some words; null by default. */
export function choice<C extends string>(choices: readonly C[], text: string): BenchOption<C | null> {
  return {
    type: 'string',
    value: ` ${choices.join('|')}`,
    text,
    read(given) {
      if (given === undefined) return { value: null };
      const found = choices.find((one) => one === given);
      return found && { value: found };
    },
  };
}

/** Any text that is not empty and not an option; null by default. */
export function text(value: string, words: string): BenchOption<string | null> {
  return {
    type: 'string',
    value,
    text: words,
    read(given) {
      if (given === undefined) return { value: null };
      return typeof given === 'string' && /^[^-\s]\S*$/.test(given) ? { value: given } : undefined;
    },
  };
}

const NUMBER_MAX = 1_000_000;

/** A positive whole number. */
export function positiveInteger<D extends number | null>(
  byDefault: D,
  text: string,
): BenchOption<number | D> {
  return {
    type: 'string',
    value: ' N',
    text,
    read(given) {
      if (given === undefined) return { value: byDefault };
      const value = Number(given);
      return Number.isInteger(value) && value >= 1 && value <= NUMBER_MAX ? { value } : undefined;
    },
  };
}

/** Every benchmark that takes long has a short form. */
export const QUICK = flag('short rounds, to try out the benchmark: too short for meaningful results');

export interface BenchCommand<O extends Options> {
  /** As in `npm run NAME`. */
  readonly name: string;
  readonly summary: string;
  readonly options: O;
  readonly run: (values: Values<O>) => Promise<void>;
}

/**
 * Runs a benchmark with the options of the command line, and cleans up what it started. Prints the usage for `--help`
 * and for an option that is not allowed. Does not return.
 */
export async function runBench<const O extends Options>(command: BenchCommand<O>): Promise<never> {
  undoOnSignals();
  try {
    const values = readOptions(command);
    if (values === null) console.log(usageOf(command));
    else await command.run(values);
  } catch (error) {
    console.error(`\n${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  } finally {
    await undoAll();
  }
  process.exit();
}

/** Returns null for `--help`. Throws the usage for an option that is not allowed. */
export function readOptions<O extends Options>(
  command: Pick<BenchCommand<O>, 'name' | 'summary' | 'options'>,
  args: readonly string[] = process.argv.slice(2),
): Values<O> | null {
  const { options } = command;
  const types = Object.entries(options).map(([name, { type }]) => [name, { type }] as const);
  const config = { ...Object.fromEntries(types), help: { type: 'boolean', short: 'h' } } as const;
  let given: Readonly<Record<string, unknown>>;
  try {
    given = parseArgs({ args: [...args], options: config }).values;
  } catch (error) {
    throw new Error(`${(error as Error).message}\n\n${usageOf(command)}`);
  }
  if (given.help === true) return null;
  const read = Object.entries(options).map(([name, option]) => {
    const found = option.read(given[name] as string | boolean | undefined);
    if (found === undefined)
      throw new Error(`Invalid value for --${name}: ${given[name]}\n\n${usageOf(command)}`);
    return [name, found.value] as const;
  });
  return Object.fromEntries(read) as Values<O>;
}

function usageOf({ name, summary, options }: Pick<BenchCommand<Options>, 'name' | 'summary' | 'options'>) {
  const entries = Object.entries(options);
  const synopsis = entries.map(([option, { value }]) => `[--${option}${value}]`).join(' ');
  const width = Math.max(...entries.map(([option]) => option.length));
  const lines = entries.map(([option, { text }]) => `  --${option.padEnd(width)}  ${text}`);
  return `${summary}\n\n  npm run ${name} -- ${synopsis}\n\n${lines.join('\n')}`;
}
