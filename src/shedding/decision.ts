/**
 * The outcome of admission: admitted, or refused for lack of permits, resource or loop capacity, rank, or time, or
 * because the owner has its share of the large bodies.
 */
export const DECISIONS = [
  'admitted',
  'permits',
  'resource',
  'loop',
  'priority',
  'deadline',
  'share',
] as const;
export type Decision = (typeof DECISIONS)[number];
export type Refusal = Exclude<Decision, 'admitted'>;
