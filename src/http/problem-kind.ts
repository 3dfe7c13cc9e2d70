import type { InputError } from '../errors.ts';

/** What an error code means over HTTP, and what its page under `/problems/` says. */
export interface ProblemKind {
  readonly status: number;
  readonly title: string;
  readonly cause: string;
  readonly remedy: string;
  /** The `errors` of its example in the OpenAPI document. */
  readonly errors?: readonly InputError[];
}

/** Problem kinds by error code. */
export type ProblemKinds = Readonly<Record<string, ProblemKind>>;
