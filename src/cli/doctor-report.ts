import { explainError, table } from './output.ts';

/** A part of Atlas as a row of the report, its problems, and notes on what could be better. */
export interface Finding {
  readonly row: readonly [part: string, mode: string, where: string, guarantee: string];
  readonly problems?: readonly string[];
  readonly notes?: readonly string[];
}

/** What `doctor --json` prints, documented in docs/commands.md. */
export interface DoctorReport {
  /** Whether there are no problems. */
  readonly ok: boolean;
  /** The Atlas on the port of these settings; null if none is running. */
  readonly running: {
    readonly port: number;
    readonly supervisor: number;
    readonly workers: number;
    readonly cap: number;
  } | null;
  readonly summary: string;
  readonly parts: readonly {
    readonly part: string;
    readonly mode: string;
    readonly where: string;
    readonly guarantee: string;
  }[];
  readonly problems: readonly string[];
  readonly notes: readonly string[];
}

/** Returns the report as text: a heading, a table of the parts, problems, and notes. */
export function doctorText({ summary, parts, problems, notes }: DoctorReport): string {
  const rows = parts.map(({ part, mode, where, guarantee }) => [part, mode, where, guarantee]);
  const found = problems.length > 0 ? problems.map((problem) => `! ${problem}`) : ['No problems found.'];
  return [
    `${summary}\n`,
    table(['part', 'mode', 'where', 'guarantee'], rows),
    `\n${[...found, ...notes.map((note) => `- ${note}`)].join('\n')}`,
  ].join('\n');
}

/** Returns the report of an examination that failed, so that a program gets the shape that it expects. */
export function failedReport(error: unknown): DoctorReport {
  const problem = explainError(error);
  const summary = 'The examination failed.';
  return { ok: false, running: null, summary, parts: [], problems: [problem], notes: [] };
}
