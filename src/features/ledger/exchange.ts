import { AMOUNT_MINOR_MAX } from '../../utils/money.ts';
import { toReservedId } from '../../utils/reserved-id.ts';

/** How the amount that is computed is rounded. `half_even` favors nobody over many exchanges; `down` pays no more. */
export const ROUNDINGS = ['half_even', 'half_up', 'down', 'up'] as const;
export type Rounding = (typeof ROUNDINGS)[number];
export const DEFAULT_ROUNDING = 'half_even' satisfies Rounding;

/** The amount that was given. The other one was computed. */
export const FIXED_SIDES = ['source', 'target'] as const;
export type FixedSide = (typeof FIXED_SIDES)[number];

/** The form of a rate: a decimal number of up to 9 digits before the point and 12 after it. */
export const RATE = /^(0|[1-9]\d{0,8})(\.\d{1,12})?$/;

export function isAboveZero(rate: string): boolean {
  return /[1-9]/.test(rate);
}

/** What is known about an exchange besides its amounts. */
export interface ExchangeTerms {
  readonly id: string;
  /** Minor units of the target for a minor unit of the source. */
  readonly rate: string;
  readonly rounding: Rounding;
  readonly fixedSide: FixedSide;
}

/** Two transfers at a rate: one pays the source to a liquidity account, one pays the target from another. Immutable. */
export interface Exchange extends ExchangeTerms {
  readonly sourceTransferId: string;
  readonly targetTransferId: string;
  readonly debitAccountId: string;
  readonly sourceLiquidityAccountId: string;
  readonly targetLiquidityAccountId: string;
  readonly creditAccountId: string;
  readonly sourceLedger: string;
  readonly targetLedger: string;
  readonly sourceAmount: number;
  readonly targetAmount: number;
  /** What rounding left: source × rate − target, exactly, in minor units of the target. */
  readonly remainder: string;
  readonly reference: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly createdAt: string;
}

/** What to compute: at least one of the amounts is given. */
export interface QuoteRequest {
  readonly sourceAmount?: number | null | undefined;
  readonly targetAmount?: number | null | undefined;
  readonly rate: string;
  readonly rounding?: Rounding | null | undefined;
}

/** Both amounts, and which of them was given. */
export interface Quote {
  readonly sourceAmount: number;
  readonly targetAmount: number;
  readonly fixedSide: FixedSide;
}

/** Why amounts cannot be exchanged at a rate, as a predicate of one of the members. */
export interface QuoteFault {
  readonly member: 'sourceAmount' | 'targetAmount';
  readonly detail: string;
}

/** Returns a rate without zeros at its end, so that equal rates have equal texts. */
export function canonicalRate(rate: string): string {
  return rate.includes('.') ? rate.replace(/\.?0+$/, '') : rate;
}

/**
 * Computes the amount that is not given, exactly, and rounds it once. If both are given, either must be what the other
 * comes to.
 *
 * @example quote({ sourceAmount: 1000, rate: '1.08345' }) // { sourceAmount: 1000, targetAmount: 1083, fixedSide: 'source' }
 */
export function quote(request: QuoteRequest): Quote | QuoteFault {
  const { sourceAmount: source, targetAmount: target, rounding } = request;
  const { numerator, denominator } = parseRate(request.rate);
  const toTarget = (amount: number) =>
    divide(BigInt(amount) * numerator, denominator, rounding ?? DEFAULT_ROUNDING);
  const toSource = (amount: number) =>
    divide(BigInt(amount) * denominator, numerator, rounding ?? DEFAULT_ROUNDING);

  if (typeof source !== 'number' && typeof target !== 'number')
    return { member: 'sourceAmount', detail: 'is required, unless `targetAmount` is given' };
  if (typeof source !== 'number') {
    const computed = toSource(target!);
    return fault('sourceAmount', computed) ?? of(Number(computed), target!, 'target');
  }
  const computed = toTarget(source);
  if (typeof target !== 'number')
    return fault('targetAmount', computed) ?? of(source, Number(computed), 'source');
  if (computed === BigInt(target)) return of(source, target, 'source');
  if (toSource(target) === BigInt(source)) return of(source, target, 'target');
  return {
    member: 'targetAmount',
    detail: `must be ${computed}, which \`sourceAmount\` comes to at this rate`,
  };
}

function of(sourceAmount: number, targetAmount: number, fixedSide: FixedSide): Quote {
  return { sourceAmount, targetAmount, fixedSide };
}

/** A computed amount is refused rather than posted as something else. */
function fault(member: QuoteFault['member'], computed: bigint): QuoteFault | null {
  if (computed < 1n) return { member, detail: 'would be 0 at this rate: exchange more' };
  if (computed > BigInt(AMOUNT_MINOR_MAX))
    return { member, detail: `would be more than ${AMOUNT_MINOR_MAX} (2^53−1) at this rate` };
  return null;
}

function parseRate(rate: string): { readonly numerator: bigint; readonly denominator: bigint } {
  const [whole = '', fraction = ''] = rate.split('.');
  return { numerator: BigInt(whole + fraction), denominator: 10n ** BigInt(fraction.length) };
}

/** Divides numbers that are not negative, and rounds the quotient. */
function divide(dividend: bigint, divisor: bigint, rounding: Rounding): bigint {
  const quotient = dividend / divisor;
  const twice = 2n * (dividend % divisor);
  const goesUp = {
    down: false,
    up: twice > 0n,
    half_up: twice >= divisor,
    half_even: twice > divisor || (twice === divisor && quotient % 2n === 1n),
  }[rounding];
  return goesUp ? quotient + 1n : quotient;
}

/** Returns the ID of an exchange, from that of the transfer that pays its source. See `toHoldId`. */
export function toExchangeId(sourceTransferId: string): string {
  return toReservedId('exchange', sourceTransferId);
}
