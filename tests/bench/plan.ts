/** Lengths and repetitions of the measurements. */
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

/** To try out the benchmark: too short for meaningful results. */
export const QUICK_PLAN: Plan = {
  mode: 'quick',
  envelopeRounds: 2,
  envelopeSeconds: 2,
  transferRounds: 1,
  transferSeconds: 2,
  firstStarts: 1,
  laterStarts: 1,
};
