interface Decimal {
  readonly digits: bigint;
  /** The value is `digits` × 10^−`scale`. */
  readonly scale: number;
}

/** Whether a number is a multiple of another, in decimals: 19.99 is one of 0.01, which it is not in binary. */
export function isExactMultiple(value: number, of: number): boolean {
  const [a, b] = [decimalOf(value), decimalOf(of)];
  const scale = Math.max(a.scale, b.scale);
  const scaled = ({ digits, scale: own }: Decimal) => digits * 10n ** BigInt(scale - own);
  return scaled(a) % scaled(b) === 0n;
}

function decimalOf(value: number): Decimal {
  const [mantissa = '', exponent = '0'] = String(value).split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  const scale = fraction.length - Number(exponent);
  const digits = BigInt(whole + fraction);
  return scale >= 0 ? { digits, scale } : { digits: digits * 10n ** BigInt(-scale), scale: 0 };
}
