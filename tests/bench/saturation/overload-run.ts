import type { LoadReport, StreamReport } from '../load/order.ts';

/** Of the peak. With fewer refusals, their cost is lost in that of the rest. */
const REFUSED_SHARE_MIN = 0.1;

/** One measurement in a closed loop. */
export interface ClosedLoop {
  readonly callers: number;
  readonly report: LoadReport;
}

/** The highest rate of good responses in a closed loop, and the CPU time that each response costs then. */
export interface Peak {
  readonly perSecond: number;
  readonly callers: number;
  /** Of the server and PostgreSQL together, in microseconds. */
  readonly servedMicros: number;
  readonly tried: readonly ClosedLoop[];
}

/** One run at a multiple of the peak. */
export interface OverloadRun {
  /** Offered ÷ peak as planned, and what the client really sent ÷ peak. */
  readonly load: number;
  readonly sentLoad: number;
  readonly all: StreamReport;
  readonly streams: readonly StreamReport[];
  readonly shares: Readonly<Record<string, number>>;
  /** Goodput ÷ peak, the ceiling for what was sent, and their ratio. */
  readonly goodput: number;
  readonly ceiling: number;
  readonly ofCeiling: number;
  /** What a refusal cost in this run, if each served request cost what it costs at the peak. NaN if few were refused. */
  readonly refusedMicros: number;
}

/**
 * The highest goodput that is possible under overload, as a share of the peak. At `offered` × the peak, the processor has
 * to refuse what it cannot serve, and a refusal costs `refusalCost` × what a payment costs. With a share g served and
 * offered − g refused, g + (offered − g) × cost = 1. At or below the peak, everything offered can be served.
 */
export function ceilingOf(offered: number, refusalCost: number): number {
  if (offered <= 1) return offered;
  return Math.max(0, (1 - offered * refusalCost) / (1 - refusalCost));
}

/** Returns the measurement with the highest goodput, and what a served request costs in it besides the refusals. */
export function peakOf(tried: readonly ClosedLoop[], refusedMicros: number): Peak {
  const best = tried.reduce((a, b) => (b.report.all.good > a.report.all.good ? b : a));
  const { all, arrived, shares } = best.report;
  const servedMicros = (usedMicros(shares) - arrived.refused * refusedMicros) / arrived.served;
  return { perSecond: all.good, callers: best.callers, servedMicros, tried };
}

/** Compares a run at a multiple of the peak with the peak, and with the ceiling for what was really sent. */
export function overloadRunOf(
  load: number,
  report: LoadReport,
  peak: Peak,
  refusalCost: number,
): OverloadRun {
  const { all, streams, shares, arrived } = report;
  const sentLoad = all.sent / peak.perSecond;
  const goodput = all.good / peak.perSecond;
  const ceiling = ceilingOf(sentLoad, refusalCost);
  const isShedding = arrived.refused > peak.perSecond * REFUSED_SHARE_MIN;
  const refusedMicros = (usedMicros(shares) - arrived.served * peak.servedMicros) / arrived.refused;
  return {
    load,
    sentLoad,
    all,
    streams,
    shares,
    goodput,
    ceiling,
    ofCeiling: ceiling > 0 ? goodput / ceiling : Number.NaN,
    refusedMicros: isShedding ? refusedMicros : Number.NaN,
  };
}

/** The CPU time of the server and PostgreSQL in a second, in microseconds. */
function usedMicros(shares: Readonly<Record<string, number>>): number {
  return (shares.atlas! + shares.postgres!) * 1e6;
}
