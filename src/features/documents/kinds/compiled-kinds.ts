import { CompiledSchema } from '../../../utils/json-schema/compiled-schema.ts';
import type { DocumentStats } from '../domain.ts';

interface Entry {
  readonly version: number;
  readonly schema: CompiledSchema;
  readonly bytes: number;
}

// A compiled schema takes about twenty times its bytes.
const BYTES_MAX = 1_048_576;

/** The newest schemas that were used last, compiled, up to a size. */
export class CompiledKinds {
  readonly #entries = new Map<string, Entry>();
  readonly #stats: DocumentStats;

  constructor(stats: DocumentStats) {
    this.#stats = stats;
  }

  /** Returns the version that is in memory, which need not be the newest, or null. */
  find(owner: string, kind: string): Entry | null {
    const name = nameOf(owner, kind);
    const entry = this.#entries.get(name) ?? null;
    if (entry !== null) {
      // The order of a map is that of insertion.
      this.#entries.delete(name);
      this.#entries.set(name, entry);
    }
    return entry;
  }

  /** Compiles a version and stores it. The schema is known to be valid. */
  add(owner: string, kind: string, version: number, schema: object): CompiledSchema {
    const compiled = CompiledSchema.compile(schema);
    const name = nameOf(owner, kind);
    this.#remove(name);
    const bytes = Buffer.byteLength(JSON.stringify(schema));
    this.#entries.set(name, { version, schema: compiled, bytes });
    this.#stats.compilations++;
    this.#stats.schemaBytes += bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#stats.schemaBytes <= BYTES_MAX) break;
      this.#remove(oldest);
    }
    return compiled;
  }

  #remove(name: string): void {
    this.#stats.schemaBytes -= this.#entries.get(name)?.bytes ?? 0;
    this.#entries.delete(name);
  }
}

function nameOf(owner: string, kind: string): string {
  return `${kind}/${owner}`;
}
