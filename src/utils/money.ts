/** The largest amount and the largest sum, in minor units: the largest whole number that JSON carries exactly. */
export const AMOUNT_MINOR_MAX = Number.MAX_SAFE_INTEGER;
