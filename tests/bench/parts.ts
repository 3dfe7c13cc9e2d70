import { accountHistory } from './account-history.ts';
import { audit } from './audit.ts';
import { envelope } from './envelope.ts';
import { imports } from './imports.ts';
import { layers } from './layers.ts';
import { limits } from './limits.ts';
import { memory } from './memory.ts';
import { quotas } from './quotas.ts';
import { reads } from './reads.ts';
import { refusals } from './refusals.ts';
import { overloadMixed, overloadPayments, overloadReads } from './saturation/parts.ts';
import { search } from './search.ts';
import { signIns } from './sign-ins.ts';
import { startup } from './start.ts';
import { transfers } from './transfers.ts';
import { verification } from './verification.ts';
import { workers } from './workers.ts';

/** The parts of the benchmark, in the order of a run and of the page. */
export const PARTS = {
  envelope,
  layers,
  quotas,
  refusals,
  'overload-payments': overloadPayments,
  'overload-reads': overloadReads,
  'overload-mixed': overloadMixed,
  transfers,
  limits,
  workers,
  'sign-ins': signIns,
  reads,
  search,
  audit,
  verification,
  history: accountHistory,
  imports,
  memory,
  start: startup,
} as const;

export type PartName = keyof typeof PARTS;
export const partNames = Object.keys(PARTS) as PartName[];
