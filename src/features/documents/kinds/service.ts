import { createHash } from 'node:crypto';
import { AtlasError } from '../../../errors.ts';
import type { Actor } from '../../../utils/actor.ts';
import { canonicalJson } from '../../../utils/canonical-json.ts';
import { CompiledSchema } from '../../../utils/json-schema/compiled-schema.ts';
import { SchemaFault } from '../../../utils/json-schema/schema-fault.ts';
import { DOCUMENT_BYTES_MAX, type DocumentKind, type KindVersion, type Replaces } from '../domain.ts';
import type { CompiledKinds } from './compiled-kinds.ts';
import type { KindRepository } from './repository.ts';

/** Operations on the kinds of documents of one owner. All throw `AtlasError`. */
export interface KindService {
  /** Registers a version. If the newest one is the same, nothing is written. */
  register(
    owner: string,
    kind: Pick<DocumentKind, 'kind' | 'title' | 'schema'>,
    replaces: Replaces,
    actor: Actor,
    signal?: AbortSignal,
  ): Promise<{ kind: DocumentKind; isNew: boolean }>;
  /** Returns a version, or the newest. */
  find(owner: string, kind: string, version: number | null, signal?: AbortSignal): Promise<DocumentKind>;
  list: KindRepository['list'];
  versions(
    owner: string,
    kind: string,
    before: number | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<KindVersion[]>;
  /** Returns the newest version, compiled. */
  newest(
    owner: string,
    kind: string,
    signal?: AbortSignal,
  ): Promise<{ version: number; schema: CompiledSchema }>;
}

const POINTER_LENGTH_MAX = 500;

export function createKindService(repository: KindRepository, compiled: CompiledKinds): KindService {
  return {
    async register(owner, { kind, title, schema }, replaces, actor, signal) {
      const text = canonicalJson(schema);
      const sizeBytes = Buffer.byteLength(text);
      if (sizeBytes > DOCUMENT_BYTES_MAX)
        throw new AtlasError('document_too_large', `The schema has ${sizeBytes} bytes.`);
      requireUsable(schema);
      const sha256 = createHash('sha256')
        .update(canonicalJson([title, schema]))
        .digest();
      const written = await repository.write(
        owner,
        { kind, title, schema, sha256, sizeBytes },
        replaces,
        actor,
        signal,
      );
      const { outcome, version, createdAt } = written;
      if (outcome !== 'created' && outcome !== 'changed' && outcome !== 'unchanged')
        throw new AtlasError(outcome, REFUSALS[outcome]);
      // What is unchanged may have its members in another order.
      const stored = outcome === 'unchanged' ? await repository.find(owner, kind, version, signal) : null;
      return { kind: stored ?? { kind, version, title, schema, createdAt }, isNew: outcome === 'created' };
    },
    async find(owner, kind, version, signal) {
      const found = await repository.find(owner, kind, version, signal);
      if (found === null) throw notFound(kind, version);
      return found;
    },
    list: repository.list,
    async versions(owner, kind, before, limit, signal) {
      const versions = await repository.versions(owner, kind, before, limit, signal);
      if (versions.length === 0 && before === null) throw notFound(kind, null);
      return versions;
    },
    async newest(owner, kind, signal) {
      const known = compiled.find(owner, kind);
      const newest = await repository.newest(owner, kind, known?.version ?? null, signal);
      if (newest === null) throw notFound(kind, null);
      const { version, schema } = newest;
      if (schema === null) return { version, schema: known!.schema };
      return { version, schema: compiled.add(owner, kind, version, schema) };
    },
  };
}

const REFUSALS = {
  precondition_required:
    'The kind exists with another title or schema. Send its ETag in If-Match to change it.',
  precondition_failed: 'The kind has changed since you read it, or does not exist.',
  too_many_document_kinds: 'Your organization has as many kinds of documents as it may have.',
  too_many_document_versions: 'The kind has as many versions as it may have.',
  document_storage_full: 'The documents and schemas of your organization have reached DOCUMENTS_MAX_BYTES.',
} as const;

function requireUsable(schema: object): void {
  try {
    CompiledSchema.compile(schema);
  } catch (error) {
    if (!(error instanceof SchemaFault)) throw error;
    const pointer = `/schema${error.pointer}`.slice(0, POINTER_LENGTH_MAX).toWellFormed();
    const errors = [{ pointer, detail: error.message }];
    throw new AtlasError('schema_invalid', 'The schema cannot be used; see `errors`.', { errors });
  }
}

function notFound(kind: string, version: number | null): AtlasError {
  const what = version === null ? `The kind ${kind}` : `Version ${version} of the kind ${kind}`;
  return new AtlasError('document_kind_not_found', `${what} does not exist.`);
}
