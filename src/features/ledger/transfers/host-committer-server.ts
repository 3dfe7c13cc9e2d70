import type { Abortable } from '../../../utils/abortable.ts';
import { FrameConnection } from '../../../utils/frame-socket.ts';
import type { PostRequest, PostResult } from '../movement.ts';
import { EMPTY_FROM_COMMITTER, packJson, type ToCommitter, toWire } from './host-committer-protocol.ts';

/** Posts a request, like `GroupCommit.submit`. */
export type Submit = (request: PostRequest, caller: Abortable) => Promise<PostResult>;

/** Accepts requests of other workers until it is stopped. */
export interface CommitServer {
  /** Accepts no more connections, and closes each one once its requests have ended. Resolves when all are closed. */
  stop(): Promise<void>;
}

/** Serves the committer's end of the socket. Throws an Error if it cannot listen on the path. */
export function serveCommits(path: string, submit: Submit): CommitServer {
  const workers = new Set<RemoteWorker>();
  const stopped = Promise.withResolvers<void>();
  let isStopping = false;
  const listener = FrameConnection.listen(path, (connection) => {
    const worker = new RemoteWorker(connection, submit, () => {
      workers.delete(worker);
      if (isStopping && workers.size === 0) stopped.resolve();
    });
    workers.add(worker);
    return worker;
  });
  return {
    stop() {
      if (!isStopping) {
        isStopping = true;
        listener.close();
        if (workers.size === 0) stopped.resolve();
        for (const worker of [...workers]) worker.closeWhenIdle();
      }
      return stopped.promise;
    },
  };
}

/** The caller of a request, which is in another worker. */
class RemoteCaller implements Abortable {
  #reason: Abortable['abortReason'] = null;
  #listener: (() => void) | null = null;

  get abortReason() {
    return this.#reason;
  }

  set onAbort(listener: (() => void) | null) {
    this.#listener = listener;
    if (this.#reason !== null) listener?.();
  }

  abort(kind: 'deadline' | 'disconnect'): void {
    if (this.#reason !== null) return;
    this.#reason = { kind };
    this.#listener?.();
  }
}

/** One worker that sends its requests here. */
class RemoteWorker {
  readonly #connection: FrameConnection;
  readonly #submit: Submit;
  readonly #onClosed: () => void;
  readonly #callers = new Map<number, RemoteCaller>();
  #results: string[] = [];
  #errors: string[] = [];
  #isScheduled = false;
  #isClosing = false;

  constructor(connection: FrameConnection, submit: Submit, onClosed: () => void) {
    this.#connection = connection;
    this.#submit = submit;
    this.#onClosed = onClosed;
  }

  onFrame(frame: unknown): void {
    const { posts, leaves } = frame as ToCommitter;
    for (const [id, request] of posts) void this.#post(id, request);
    for (const id of leaves) this.#callers.get(id)?.abort('deadline');
    if (posts.length === 0 && leaves.length === 0) this.#connection.send(EMPTY_FROM_COMMITTER);
  }

  /** The worker is gone, or posts its requests itself: those that are not in a batch yet are dropped. */
  onClosed(): void {
    for (const caller of [...this.#callers.values()]) caller.abort('disconnect');
    this.#onClosed();
  }

  closeWhenIdle(): void {
    this.#isClosing = true;
    this.#schedule();
  }

  async #post(id: number, request: PostRequest): Promise<void> {
    const caller = new RemoteCaller();
    this.#callers.set(id, caller);
    try {
      const result = await this.#submit(request, caller);
      this.#results.push(JSON.stringify([id, result]));
    } catch (error) {
      this.#errors.push(JSON.stringify([id, toWire(error)]));
    } finally {
      this.#callers.delete(id);
      this.#schedule();
    }
  }

  /**
   * Sends everything that ended together at once: the results of a batch. Not a turn of the loop later, because the
   * responses of this worker's own callers are built first then, while the other workers wait.
   */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      for (const results of packJson(this.#results))
        this.#connection.send(`{"results":${results},"errors":[]}`);
      for (const errors of packJson(this.#errors)) this.#connection.send(`{"results":[],"errors":${errors}}`);
      this.#results = [];
      this.#errors = [];
      if (this.#isClosing && this.#callers.size === 0) this.#connection.close();
    });
  }
}
