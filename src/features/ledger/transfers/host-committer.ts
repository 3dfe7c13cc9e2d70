import { AtlasError } from '../../../errors.ts';
import type { Abortable } from '../../../utils/abortable.ts';
import type { PostRequest, PostResult } from '../movement.ts';
import type { GroupCommit } from './group-commit.ts';
import { CommitterLink, type Forwarded } from './host-committer-link.ts';
import { COMMIT_PROTOCOL } from './host-committer-protocol.ts';
import { type CommitServer, serveCommits } from './host-committer-server.ts';

/** Counts since the process started, for the metrics. */
export interface HostCommitterStats {
  /** Requests sent to the committer of the host. */
  readonly forwarded: number;
  /** Those that this worker posted after all, because it lost the committer. */
  readonly fallbacks: number;
}

const RECONNECT_MS = 500;
/** Errors that say that nothing was done. */
const REFUSALS: ReadonlySet<string> = new Set(['queue_full', 'overloaded']);

/**
 * One committer per host. Batches run one after another in PostgreSQL, so several workers with a batch each only make
 * the batches smaller. One worker therefore posts for all workers of the host, and the others send it their requests.
 * A worker that loses the committer posts directly, and posts again what was in flight: the keys make that safe. Two
 * committers at once are safe for the same reason.
 */
export class HostCommitter {
  readonly protocol = COMMIT_PROTOCOL;
  readonly #groupCommit: Pick<GroupCommit, 'submit'>;
  /** Where the committer of this host listens; null if this is the committer, or there is none. */
  #path: string | null = null;
  #link: CommitterLink | null = null;
  #server: CommitServer | null = null;
  #reconnecting: Timer | undefined;
  #forwarded = 0;
  #fallbacks = 0;

  constructor(groupCommit: Pick<GroupCommit, 'submit'>) {
    this.#groupCommit = groupCommit;
  }

  stats(): HostCommitterStats {
    return { forwarded: this.#forwarded, fallbacks: this.#fallbacks };
  }

  /** Posts a request in a batch with those of the whole host. Throws like `GroupCommit.submit`. */
  submit(request: PostRequest, caller?: Abortable): Promise<PostResult> {
    const sent = this.#link?.submit(request, caller) ?? null;
    if (sent === null) return this.#groupCommit.submit(request, caller);
    this.#forwarded++;
    return sent;
  }

  /** Becomes the committer: accepts the requests of other workers on a socket. Throws if it cannot listen. */
  serve(path: string): void {
    this.join(null);
    this.#server = serveCommits(path, (request, caller) => this.#groupCommit.submit(request, caller));
  }

  /** Is no longer the committer. Resolves when the requests of other workers have ended. */
  async stopServing(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    await server?.stop();
  }

  /** Sends requests to the committer that listens on this path from now on; with null, posts them directly. */
  join(path: string | null): void {
    if (path === this.#path) return;
    this.#path = path;
    clearTimeout(this.#reconnecting);
    this.#link?.retire();
    this.#link = null;
    if (path !== null) void this.#connect(path);
  }

  async #connect(path: string): Promise<void> {
    let link: CommitterLink | null = null;
    try {
      link = await CommitterLink.open(path, (left) => {
        if (this.#link === link) this.#link = null;
        for (const entry of left) void this.#postDirectly(entry);
        this.#reconnect(path);
      });
    } catch {
      this.#reconnect(path);
      return;
    }
    if (this.#path === path) this.#link = link;
    else link.retire();
  }

  #reconnect(path: string): void {
    if (this.#path !== path) return;
    clearTimeout(this.#reconnecting);
    this.#reconnecting = setTimeout(() => void this.#connect(path), RECONNECT_MS);
    this.#reconnecting.unref();
  }

  /** Posts what may have been posted already. What the committer did post is replayed, as after any retry. */
  async #postDirectly({ request, caller, isSent, resolve, reject }: Forwarded): Promise<void> {
    this.#fallbacks++;
    try {
      // Once it was sent, the outcome must be found out, even if the caller does not wait for it.
      resolve(await this.#groupCommit.submit(request, isSent ? undefined : caller));
    } catch (error) {
      reject(isSent ? asUnknown(error) : error);
    }
  }
}

/** A refusal would mean that nothing was posted, which nobody knows here. */
function asUnknown(error: unknown): unknown {
  if (!(error instanceof AtlasError) || !REFUSALS.has(error.code)) return error;
  return new AtlasError('dependency_unavailable', 'The outcome of the transfer is unknown.', {
    cause: error,
    retryAfterSeconds: 1,
  });
}
