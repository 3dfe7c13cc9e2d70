import type { Actor } from '../../utils/actor.ts';

/** `csv`: transfers or accounts, by header row. `ndjson`: everything that an export has. */
export const IMPORT_FORMATS = ['csv', 'ndjson'] as const;
export type ImportFormat = (typeof IMPORT_FORMATS)[number];

/**
 * What the IDs in a file mean. `keep`: those of this database. `derive`: those of another database, or of another
 * organization; each becomes an ID of its own here, always the same.
 */
export const ID_MODES = ['keep', 'derive'] as const;
export type IdMode = (typeof ID_MODES)[number];

/** The first two are under way, in this order; the others are final. */
export const IMPORT_STATES = ['validating', 'posting', 'done', 'failed', 'canceled'] as const;
export type ImportState = (typeof IMPORT_STATES)[number];

/** Why an import failed. */
export const IMPORT_FAILURES = [
  'invalid_lines',
  'too_many_refused',
  'file_not_found',
  'file_corrupt',
  'internal_error',
] as const;
export type ImportFailure = (typeof IMPORT_FAILURES)[number];

/** Unfinished imports of an organization, and of the whole database. */
export const UNFINISHED_PER_OWNER_MAX = 20;
export const UNFINISHED_MAX = 500;
/** An import reports this many lines, and then stops. */
export const REFUSED_MAX = 10_000;
/** The largest file that is imported. */
export const FILE_BYTES_MAX = 5_368_709_120;
/** The longest line, or CSV record: a document with its escapes fits, and so does a template of accounts. */
export const LINE_BYTES_MAX = 1_310_720;

/** An import. Counts are of lines with content. */
export interface Import {
  readonly id: string;
  readonly owner: string;
  /** Null if a command imports a file of its host. */
  readonly fileId: string | null;
  readonly fileName: string;
  readonly format: ImportFormat;
  readonly ids: IdMode;
  readonly dryRun: boolean;
  readonly state: ImportState;
  readonly failure: ImportFailure | null;
  readonly sizeBytes: number;
  /** The bytes that the current phase has read. */
  readonly position: number;
  readonly lines: number;
  readonly posted: number;
  readonly existed: number;
  readonly skipped: number;
  readonly refused: number;
  readonly createdAt: string;
  readonly finishedAt: string | null;
}

/** An import with what its worker needs. */
export interface ClaimedImport extends Import {
  readonly sha256: string;
  readonly nextLine: number;
  readonly expectsEnd: boolean;
  readonly hasEnd: boolean;
  readonly hasDocuments: boolean;
  /** Whether it is to stop. */
  readonly cancels: boolean;
  readonly actor: Actor;
  readonly token: number;
}

/** Why a line was refused. `member` is a column of CSV, or the path of a member. */
export interface RefusedLine {
  readonly line: number;
  readonly member: string | null;
  readonly code: string;
  readonly detail: string;
}

/** Lines by what became of them. */
export interface LineCounts {
  lines: number;
  posted: number;
  existed: number;
  skipped: number;
  refused: number;
}

export const noLines = (): LineCounts => ({ lines: 0, posted: 0, existed: 0, skipped: 0, refused: 0 });
