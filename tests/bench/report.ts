import type { Conditions } from './conditions.ts';
import type { PartName } from './parts.ts';
import type { Target } from './targets.ts';

/** What `npm run bench` writes as JSON. A part that was not measured, or failed, is missing. */
export interface BenchReport {
  readonly conditions: Conditions;
  readonly parts: Readonly<Partial<Record<PartName, unknown>>>;
  readonly targets: readonly Target[];
}
