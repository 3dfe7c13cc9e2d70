import type { Conditions } from './conditions.ts';
import type { PartName } from './parts.ts';
import type { Target } from './targets.ts';

/** What `npm run bench` writes as JSON. A part that was not measured, or failed, is missing. */
export interface BenchReport {
  readonly conditions: Conditions;
  readonly parts: Readonly<Partial<Record<PartName, unknown>>>;
  readonly targets: readonly Target[];
}

/** The part of the JSON of any other benchmark that the page shows. */
export interface OtherReport {
  readonly conditions: Conditions;
  readonly targets: readonly Target[];
}

/** The data of the page: the last run of `npm run bench`, and that of each other benchmark. */
export interface PageData {
  readonly bench: BenchReport;
  readonly others: Readonly<Record<string, OtherReport>>;
}

/** Puts the JSON of a run into the data. Throws if it is not that of a benchmark with targets. */
export function withReport(data: PageData | null, report: unknown): PageData {
  const { name, conditions, parts, targets } = report as Partial<BenchReport> & { readonly name?: string };
  if (name === undefined || conditions === undefined || targets === undefined)
    throw new Error('This is not the JSON of a benchmark with targets.');
  if (parts !== undefined) return { bench: { conditions, parts, targets }, others: data?.others ?? {} };
  if (data === null) throw new Error('The page starts with the JSON of npm run bench.');
  const others = { ...data.others, [name]: { conditions, targets } };
  const sorted = Object.entries(others).sort(([a], [b]) => (a < b ? -1 : 1));
  return { bench: data.bench, others: Object.fromEntries(sorted) };
}
