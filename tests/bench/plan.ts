/** How long and how often everything is measured. */
export interface Plan {
  readonly mode: 'full' | 'quick';
  readonly envelopeRounds: number;
  readonly envelopeSeconds: number;
  readonly transferRounds: number;
  readonly transferSeconds: number;
  readonly firstStarts: number;
  readonly laterStarts: number;
}

/** The default: about seven minutes. */
export const FULL_PLAN: Plan = {
  mode: 'full',
  envelopeRounds: 5,
  envelopeSeconds: 5,
  transferRounds: 3,
  transferSeconds: 5,
  firstStarts: 3,
  laterStarts: 5,
};

/** For trying the benchmark itself: its stats are too short to judge by. */
export const QUICK_PLAN: Plan = {
  mode: 'quick',
  envelopeRounds: 2,
  envelopeSeconds: 2,
  transferRounds: 1,
  transferSeconds: 2,
  firstStarts: 1,
  laterStarts: 1,
};
