import type { Command } from 'commander';
import { mostSimilar } from '../utils/similar.ts';

/**
 * Returns the text about a command that does not exist, or null. Commander would pass its name on to the default
 * command of the group, which rejects it as an excess argument. `given` are the arguments of the program.
 */
export function explainUnknownCommand(program: Command, given: readonly string[]): string | null {
  let group = program;
  const path: string[] = [];
  // `help WORD` is about the same commands as `WORD --help`.
  for (const word of given[0] === 'help' ? given.slice(1) : given) {
    const names = group.commands.map((command) => command.name());
    if (names.length === 0 || !/^\w/.test(word) || word === 'help') return null;
    const next = group.commands.find((command) => command.name() === word);
    if (next === undefined) return explain(path, word, names);
    path.push(word);
    group = next;
  }
  return null;
}

function explain(path: readonly string[], word: string, names: readonly string[]): string {
  const full = [...path, word].join(' ');
  const meant = mostSimilar(word, names);
  const guess = meant === null ? '' : `; did you mean ${[...path, meant].join(' ')}?`;
  return `Unknown command: ${full}\n  why:  Atlas has no command of that name${guess}\n  do:   list the commands with: npm run -s atlas -- ${[...path, '--help'].join(' ')}`;
}
