import type { Abortable } from '../../../utils/abortable.ts';
import { FrameConnection } from '../../../utils/frame-socket.ts';
import type { PostRequest, PostResult } from '../movement.ts';
import { abortError } from './group-commit.ts';
import {
  EMPTY_TO_COMMITTER,
  type FromCommitter,
  fromWire,
  packJson,
  type WireError,
} from './host-committer-protocol.ts';

/** A request that the committer has not replied to. */
export interface Forwarded {
  readonly request: PostRequest;
  readonly caller: Abortable | undefined;
  /** Whether the committer may have posted it. */
  isSent: boolean;
  resolve(result: PostResult): void;
  reject(error: unknown): void;
}

// A committer that sends nothing for this many checks, although it was asked to, is stalled. Checks are counted instead
// of time, because after a stall of this process, replies that arrived in time are read only then.
const CHECK_MS = 250;
const SILENT_CHECKS_MAX = 6;
// A larger request may not fit into a frame. A larger backlog shows that the committer reads too slowly.
const REQUEST_CHARS_MAX = 1024 * 1024;
const UNSENT_BYTES_MAX = 4 * 1024 * 1024;

/** A worker's connection to the committer of its host. */
export class CommitterLink {
  readonly #connection: FrameConnection;
  readonly #onClosed: (left: readonly Forwarded[]) => void;
  readonly #entries = new Map<number, Forwarded>();
  readonly #checking = setInterval(() => this.#check(), CHECK_MS);
  #unsent: (readonly [id: number, json: string])[] = [];
  #leaves: number[] = [];
  #lastId = 0;
  #silentChecks = 0;
  #isResponsive = false;
  #isScheduled = false;
  #isRetiring = false;

  private constructor(connection: FrameConnection, onClosed: (left: readonly Forwarded[]) => void) {
    this.#connection = connection;
    this.#onClosed = onClosed;
  }

  /**
   * Connects to the socket of a committer. Rejects if nothing listens there. `onClosed` is called once, when the link
   * has closed, with the requests that have no reply.
   */
  static async open(path: string, onClosed: (left: readonly Forwarded[]) => void): Promise<CommitterLink> {
    let link: CommitterLink | undefined;
    const connection = await FrameConnection.connect(path, (opened) => {
      link = new CommitterLink(opened, onClosed);
      return link;
    });
    connection.send(EMPTY_TO_COMMITTER);
    return link!;
  }

  /**
   * Sends a request to the committer with the others of this turn of the loop. Returns null if the worker should post
   * it itself: the committer has not responded yet, reads too slowly, or the request is too large for a frame. Rejects
   * like `GroupCommit.submit`.
   */
  submit(request: PostRequest, caller: Abortable | undefined): Promise<PostResult> | null {
    if (!this.#isResponsive || this.#isRetiring || this.#connection.unsentBytes > UNSENT_BYTES_MAX)
      return null;
    const json = JSON.stringify(request);
    if (json.length > REQUEST_CHARS_MAX) return null;
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      this.#entries.set(id, { request, caller, isSent: false, resolve, reject });
      this.#unsent.push([id, json]);
      if (caller) caller.onAbort = () => this.#leave(id);
      this.#schedule();
    });
  }

  /** Accepts no more requests, and closes when all have ended. */
  retire(): void {
    this.#isRetiring = true;
    this.#closeIfDone();
  }

  onFrame(frame: unknown): void {
    const { results, errors } = frame as FromCommitter;
    this.#silentChecks = 0;
    this.#isResponsive = true;
    for (const [id, result] of results) this.#take(id)?.resolve(result);
    for (const [id, error] of errors) {
      const entry = this.#take(id);
      entry?.reject(hasLeft(entry, error) ? abortError(entry.caller!) : fromWire(error));
    }
    this.#closeIfDone();
  }

  onClosed(): void {
    clearInterval(this.#checking);
    const left = [...this.#entries.keys()].flatMap((id) => this.#take(id) ?? []);
    this.#unsent = [];
    this.#isRetiring = true;
    this.#onClosed(left);
  }

  #take(id: number): Forwarded | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined) return undefined;
    this.#entries.delete(id);
    if (entry.caller) entry.caller.onAbort = null;
    return entry;
  }

  /** The caller leaves: immediately if its request is not sent, else when the committer confirms it. */
  #leave(id: number): void {
    const entry = this.#entries.get(id)!;
    if (entry.isSent) {
      this.#leaves.push(id);
      this.#schedule();
    } else this.#take(id)!.reject(abortError(entry.caller!));
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    const posts: string[] = [];
    for (const [id, json] of this.#unsent) {
      // Reading the reason reports a lost connection, and removes the entry.
      void this.#entries.get(id)?.caller?.abortReason;
      const entry = this.#entries.get(id);
      if (entry === undefined) continue;
      entry.isSent = true;
      posts.push(`[${id},${json}]`);
    }
    this.#unsent = [];
    for (const packed of packJson(posts)) this.#connection.send(`{"posts":${packed},"leaves":[]}`);
    if (this.#leaves.length > 0) this.#connection.send(`{"posts":[],"leaves":[${this.#leaves}]}`);
    this.#leaves = [];
    this.#closeIfDone();
  }

  #closeIfDone(): void {
    if (this.#isRetiring && this.#entries.size === 0) this.#connection.close();
  }

  /** Closes the link when the committer is stalled, and finds callers who have left. An idle link is not checked. */
  #check(): void {
    if (this.#isResponsive && this.#entries.size === 0) return;
    // Nothing reports a lost connection. Iterates over a copy: reading the reason can remove an entry.
    for (const { caller } of [...this.#entries.values()]) void caller?.abortReason;
    if (this.#silentChecks++ >= SILENT_CHECKS_MAX) this.#connection.close();
    else this.#connection.send(EMPTY_TO_COMMITTER);
  }
}

/** Whether the committer dropped the request because its caller left. It does not know why the caller did. */
function hasLeft({ caller }: Forwarded, { code }: WireError): boolean {
  return code === 'deadline_exceeded' && caller !== undefined && caller.abortReason !== null;
}
