import { AtlasError } from '../../../errors.ts';
import type { Actor } from '../../../utils/actor.ts';
import { createReservedId } from '../../../utils/reserved-id.ts';
import type { FileService } from '../../files/service.ts';
import type { Done, Idempotency, Tx } from '../../idempotency.ts';
import {
  FILE_BYTES_MAX,
  type IdMode,
  type Import,
  type ImportFormat,
  type RefusedLine,
  UNFINISHED_MAX,
} from '../import.ts';
import type { ImportRepository } from './repository.ts';

/** An import as requested. */
export interface ImportRequest {
  readonly fileId: string;
  readonly format: ImportFormat;
  readonly ids: IdMode;
  readonly dryRun: boolean;
}

/** A file of the host of a command. */
export interface LocalFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** Operations on imports. All throw `AtlasError`. */
export interface ImportService {
  /** `hasDocuments`: whether the caller may write documents and their kinds. */
  create(
    owner: string,
    request: ImportRequest,
    hasDocuments: boolean,
    actor: Actor,
    signal: AbortSignal,
    idempotencyKey?: string,
  ): Promise<Done<Import>>;
  /** Creates an import that only a command of this host works on. */
  createLocal(
    owner: string,
    file: LocalFile,
    request: Omit<ImportRequest, 'fileId'>,
    actor: Actor,
  ): Promise<Import>;
  find(owner: string, id: string, signal?: AbortSignal): Promise<Import>;
  list(
    owner: string,
    before: string | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<{ imports: Import[]; next: string | null }>;
  /** A worker that has it stops after the current block. */
  cancel(owner: string, id: string, actor: Actor, signal?: AbortSignal): Promise<Import>;
  /** Yields the refused lines in pages. Throws before the first page if there is no such import. */
  report(owner: string, id: string, signal?: AbortSignal): Promise<AsyncGenerator<readonly RefusedLine[]>>;
}

const RETRY_AFTER_SECONDS = 30;
const REPORT_LINES = 1000;

export function createImportService(
  repository: ImportRepository,
  files: Pick<FileService, 'findStored'>,
  idempotency: Idempotency,
): ImportService {
  async function find(owner: string, id: string, signal?: AbortSignal): Promise<Import> {
    const found = await repository.find(owner, id, signal);
    if (found === null) throw new AtlasError('import_not_found', `Import ${id} does not exist.`);
    return found;
  }

  async function refusal(owner: string): Promise<AtlasError> {
    const count = await repository.unfinished(owner);
    if (count > 0)
      return new AtlasError('too_many_imports', `Your organization has ${count} unfinished imports.`);
    return new AtlasError('overloaded', `${UNFINISHED_MAX} imports are unfinished, which is the maximum.`, {
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    });
  }

  return {
    async create(owner, request, hasDocuments, actor, signal, key) {
      const identity = { owner, key, content: ['createImport', request] as const };
      // The file may have been deleted since.
      const before = await idempotency.find<Import>(identity, signal);
      if (before !== null) return before;
      const file = await files.findStored(owner, request.fileId, signal);
      if (file.sizeBytes > FILE_BYTES_MAX)
        throw new AtlasError('import_file_too_large', `The file has ${file.sizeBytes} bytes.`);
      const { sha256, sizeBytes, name: fileName } = file;
      const id = createReservedId('import');
      const work = async (tx?: Tx) => {
        const created = { ...request, id, owner, sha256, sizeBytes, fileName, hasDocuments };
        const made = await repository.create(created, actor, tx);
        if (made === null) throw new NotCreated();
        return made;
      };
      try {
        return await idempotency.run<Import>(identity, work, signal);
      } catch (error) {
        // Only now, as the work may query nothing outside of its transaction.
        throw error instanceof NotCreated ? await refusal(owner) : error;
      }
    },
    async createLocal(owner, { name: fileName, sizeBytes, sha256 }, request, actor) {
      if (sizeBytes > FILE_BYTES_MAX)
        throw new AtlasError('import_file_too_large', `The file has ${sizeBytes} bytes.`);
      const id = createReservedId('import');
      const file = { fileId: null, fileName, sizeBytes, sha256 };
      const made = await repository.create({ ...request, ...file, id, owner, hasDocuments: true }, actor);
      if (made === null) throw await refusal(owner);
      return made;
    },
    find,
    async list(owner, before, limit, signal) {
      const imports = await repository.list(owner, before, limit + 1, signal);
      const page = imports.slice(0, limit);
      return { imports: page, next: imports.length > limit ? page.at(-1)!.id : null };
    },
    async cancel(owner, id, actor, signal) {
      const canceled = await repository.cancel(owner, id, actor, signal);
      if (canceled !== null) return canceled;
      const found = await find(owner, id, signal);
      const { state } = found;
      if (state === 'canceled') return found;
      throw new AtlasError('import_finished', `The import has finished: it is ${state}.`);
    },
    async report(owner, id, signal) {
      await find(owner, id, signal);
      return pagesOf(repository, id, signal);
    },
  };
}

class NotCreated extends Error {}

async function* pagesOf(
  { refused }: ImportRepository,
  id: string,
  signal?: AbortSignal,
): AsyncGenerator<readonly RefusedLine[]> {
  for (let after = 0; ; ) {
    const page = await refused(id, after, REPORT_LINES, signal);
    if (page.length > 0) yield page;
    if (page.length < REPORT_LINES) return;
    after = page.at(-1)!.line;
  }
}
