import type { Entry, StatementHead } from './domain.ts';
import { toEntry, toStatement } from './resources.ts';

/** One JSON object in parts: a statement with all of its entries, one per line. */
export function jsonHead(head: StatementHead): string {
  return `${JSON.stringify(toStatement(head)).slice(0, -1)},"entries":[`;
}

export function jsonLines(entries: readonly Entry[], isFirst: boolean): string {
  const lines = entries.map((entry) => `\n${JSON.stringify(toEntry(entry))}`).join(',');
  return isFirst ? lines : `,${lines}`;
}

export function jsonEnd(): string {
  return '\n]}\n';
}
