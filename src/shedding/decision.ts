/**
 * The outcome of admission: admitted, or refused for lack of permits, resource or loop capacity, rank, or time, or
 * because the owner has its share of the large bodies, or its bodies in chunks cost more than they hold.
 */
export const DECISIONS = [
  'admitted',
  'permits',
  'resource',
  'loop',
  'priority',
  'deadline',
  'share',
  'chunks',
] as const;
export type Decision = (typeof DECISIONS)[number];
export type Refusal = Exclude<Decision, 'admitted'>;
