/** Maximum size of a document and of a schema, as compact JSON in UTF-8. */
export const DOCUMENT_BYTES_MAX = 65_536;
/**
 * Maximum values in a document: members and items, at any depth. Each is an entry of the index of searches, so they are
 * what writing one costs.
 */
export const DOCUMENT_VALUES_MAX = 1000;
/** Maximum kinds that an organization registers, and versions of each. */
export const KINDS_MAX = 100;
export const KIND_VERSIONS_MAX = 100;
/** Maximum documents of an account, deleted ones included, and versions of each. */
export const DOCUMENTS_PER_ACCOUNT_MAX = 20;
export const VERSIONS_MAX = 1000;

/** The versions that a change may replace: `none` if there must not be any. */
export type Replaces = readonly number[] | 'any' | 'none';

/** A version of a kind of documents. Times are RFC 3339, UTC. */
export interface KindVersion {
  readonly kind: string;
  readonly version: number;
  readonly title: string | null;
  readonly createdAt: string;
}

/** A version with its JSON Schema. */
export interface DocumentKind extends KindVersion {
  readonly schema: object;
}

/** A version of a document without its content. All but the time are null if it says that the document was deleted. */
export interface DocumentVersion {
  readonly version: number;
  /** The version of its kind that it was validated with. */
  readonly kindVersion: number | null;
  /** SHA-256 of the content as canonical JSON (RFC 8785), in hex. */
  readonly sha256: string | null;
  readonly sizeBytes: number | null;
  readonly createdAt: string;
}

/** What a document is, without its content. */
export interface DocumentSummary extends DocumentVersion {
  readonly accountId: string;
  readonly kind: string;
}

/** A document, or a former version of it. */
export interface Document extends DocumentSummary {
  readonly content: Readonly<Record<string, unknown>> | null;
}

/** Counters since this process started. */
export interface DocumentStats {
  /** Validations of documents by outcome. */
  readonly validations: Record<'valid' | 'invalid' | 'too_complex', number>;
  validationMs: number;
  /** Schemas that were compiled because none was in memory, and the bytes of those that are. */
  compilations: number;
  schemaBytes: number;
}

/** Whether the content has more values than a document may have. */
export function hasTooManyValues(content: object): boolean {
  let values = 0;
  const within: object[] = [content];
  for (let parent = within.pop(); parent !== undefined; parent = within.pop()) {
    for (const value of Object.values(parent) as unknown[]) {
      if (++values > DOCUMENT_VALUES_MAX) return true;
      if (typeof value === 'object' && value !== null) within.push(value);
    }
  }
  return false;
}
