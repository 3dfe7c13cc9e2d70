/** Largest amount and largest sum, in minor units: the largest integer that JSON represents exactly. */
export const AMOUNT_MINOR_MAX = Number.MAX_SAFE_INTEGER;
