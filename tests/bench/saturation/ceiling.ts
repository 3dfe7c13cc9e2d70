/**
 * The highest goodput that is possible under overload, as a share of the peak. At `offered` × the peak, the processor has
 * to refuse what it cannot serve, and a refusal costs `refusalCost` × what a payment costs. With a share g served and
 * offered − g refused, g + (offered − g) × cost = 1. At or below the peak, everything offered can be served.
 */
export function ceilingOf(offered: number, refusalCost: number): number {
  if (offered <= 1) return offered;
  return Math.max(0, (1 - offered * refusalCost) / (1 - refusalCost));
}
