import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Exchange } from '../../src/envelope/exchange.ts';
import { AtlasError } from '../../src/errors.ts';
import type { PostRequest } from '../../src/features/ledger/movement.ts';
import { HostCommitter } from '../../src/features/ledger/transfers/host-committer.ts';
import { groupCommitOver, LedgerInMemory, requestOf } from './ledger-in-memory.ts';
import { until } from './until.ts';

/** A worker of a host, with the number of transfers that wait for its next batch. */
export interface Member extends HostCommitter {
  readonly waiting: number;
}

/** The workers of a host over one ledger in memory, which reach each other over sockets in a folder. */
export class CommittingHost {
  readonly ledger = new LedgerInMemory();
  readonly folder: string;
  /** Where the committer listens. */
  socket: string;
  readonly #members: HostCommitter[] = [];
  #probes = 0;

  private constructor(folder: string) {
    this.folder = folder;
    this.socket = join(folder, 'commit.sock');
  }

  static async create(): Promise<CommittingHost> {
    return new CommittingHost(await mkdtemp(join(tmpdir(), 'atlas-commit-')));
  }

  /** Adds a worker with its own group commit. */
  worker(bounds: Parameters<typeof groupCommitOver>[1] = {}): Member {
    const commit = groupCommitOver(this.ledger, bounds);
    const member = new HostCommitter(commit);
    this.#members.push(member);
    Object.defineProperty(member, 'waiting', { get: () => commit.stats().waitingItems });
    return member as Member;
  }

  /** Adds a committer and workers that send their requests to it. */
  async start({ workers = 1, bounds = {} } = {}): Promise<[Member, ...Member[]]> {
    const committer = this.worker(bounds);
    committer.serve(this.socket);
    const others = Array.from({ length: workers }, () => this.worker(bounds));
    for (const other of others) await this.connect(other);
    return [committer, ...others];
  }

  /** Joins the committer, and posts until a request was forwarded. */
  async connect(member: Member): Promise<void> {
    member.join(this.socket);
    const { auto } = this.ledger;
    this.ledger.auto = true;
    const before = member.stats().forwarded;
    await until(async () => {
      await member.submit(this.probe());
      return member.stats().forwarded > before;
    });
    this.ledger.auto = auto;
    this.ledger.batches.length = 0;
  }

  /** Returns a request with a new key. */
  probe(): PostRequest {
    return requestOf(`probe${++this.#probes}`);
  }

  async close(): Promise<void> {
    for (const member of this.#members) {
      member.join(null);
      void member.stopServing();
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Submits a request. Returns the state of the result, or the code or message of the error. Never rejects. */
export async function submitTo(
  member: HostCommitter,
  request: PostRequest,
  caller?: Exchange,
): Promise<string> {
  try {
    return (await member.submit(request, caller)).state;
  } catch (error) {
    return error instanceof AtlasError ? error.code : (error as Error).message;
  }
}
