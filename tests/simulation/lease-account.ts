import type { Renewal, RenewalReply, Standing } from '../../src/shedding/lease-protocol.ts';

const TTL = 900;
const STEP_MAX = 150;
const STEP_DOUBTFUL = 50;
const RETENTION = 600_000;
const MARK = 10_000;
const SWEEP = 86_400_000;
const RECENT = 10_000;
const WORKERS_MAX = 512;
const [JOINING, MEMBER, EXITED] = [1, 2, 3];

/** The state of one worker, in the order of the array that the script stores. */
interface Entry {
  seq: number;
  expires: number;
  lease: number;
  wanted: number;
  inFlight: number;
  cap: number;
  cutoff: number;
  arrivals: number;
  ack: number;
  standing: number;
  since: number;
  fresh: number;
}

/** Bugs planted to check that the simulation finds them. */
export interface AccountBugs {
  /** Grants permits immediately after losing the leases. */
  readonly noLearning?: boolean;
  /** Counts only workers with a valid lease. */
  readonly forgetsByExpiry?: boolean;
  /** Lets a new worker hold permits before the others know of it. */
  readonly admitsAtOnce?: boolean;
  /** Grants permits that a worker must give up before it confirms that it has. */
  readonly grantsUnreturned?: boolean;
  /** Removes a corrupt record of a worker, and lends its permits. */
  readonly ignoresCorruption?: boolean;
}

/**
 * A line-by-line port of `lease-account.lua` for the simulation; a contract test keeps the two in step. Its state is
 * mutable for speed; `clone` copies it for failovers.
 */
export class LeaseAccount {
  readonly #bugs: AccountBugs;
  #isNew = true;
  #runId = '';
  #time = 0;
  #clock = 0;
  #epoch = 0;
  #learningUntil = 0;
  #workers = 0;
  #fresh = 0;
  #version = 0;
  #sweepAt = SWEEP;
  #nameless = 0;
  #isCorrupt = false;
  #entries = new Map<string, Entry>();

  constructor(bugs: AccountBugs = {}) {
    this.#bugs = bugs;
  }

  clone(): LeaseAccount {
    const copy = new LeaseAccount(this.#bugs);
    copy.#isNew = this.#isNew;
    copy.#runId = this.#runId;
    copy.#time = this.#time;
    copy.#clock = this.#clock;
    copy.#epoch = this.#epoch;
    copy.#learningUntil = this.#learningUntil;
    copy.#workers = this.#workers;
    copy.#fresh = this.#fresh;
    copy.#version = this.#version;
    copy.#sweepAt = this.#sweepAt;
    copy.#nameless = this.#nameless;
    copy.#isCorrupt = this.#isCorrupt;
    copy.#entries = new Map([...this.#entries].map(([id, entry]) => [id, { ...entry }]));
    return copy;
  }

  /** The fields of the hash, as Redis stores them. */
  stored(): Record<string, unknown[]> {
    const workers = [...this.#entries].map(([id, entry]) => [id, Object.values(entry)]);
    const account = [this.#runId, this.#time, this.#clock, this.#epoch, this.#learningUntil];
    const counts = [this.#workers, this.#fresh, this.#version, this.#sweepAt, this.#nameless];
    return Object.fromEntries(this.#isNew ? [] : [['account', [...account, ...counts]], ...workers]);
  }

  /** Makes the record of a worker unreadable. The next command that takes effect removes it. */
  corrupt(id: string): void {
    this.#isCorrupt = !this.#bugs.ignoresCorruption;
    this.#entries.delete(id);
  }

  /** Whether a record that is unreadable is still stored. */
  get hasCorrupt(): boolean {
    return this.#isCorrupt;
  }

  /** The workers on record. */
  get ids(): string[] {
    return [...this.#entries.keys()];
  }

  get isLearning(): boolean {
    return this.#clock < this.#learningUntil && !this.#bugs.noLearning;
  }

  /** Permits on record for all valid leases. */
  get held(): number {
    let held = 0;
    for (const entry of this.#entries.values()) if (this.#isLive(entry)) held += entry.lease;
    return held;
  }

  /** Whether this worker has a valid lease on record. */
  counts(id: string): boolean {
    const entry = this.#entries.get(id);
    return entry !== undefined && this.#isLive(entry);
  }

  #isLive(entry: Entry): boolean {
    return entry.standing !== EXITED && this.#clock < entry.expires;
  }

  exit(nowMs: number, runId: string, id: string): boolean {
    const mine = this.#entries.get(id);
    if (mine ? mine.standing === EXITED : this.#entries.size >= WORKERS_MAX) return false;
    this.#tick(nowMs, runId, id);
    if (mine) {
      this.#workers--;
      this.#fresh -= mine.fresh;
    }
    this.#entries.set(id, entryOf({ expires: this.#clock, standing: EXITED! }));
    return true;
  }

  renewal(nowMs: number, runId: string, renewal: Renewal): RenewalReply | null {
    const { workerId, seq, claim, inFlight, epoch } = renewal;
    let mine = this.#entries.get(workerId);
    if (mine && (mine.standing === EXITED || seq <= mine.seq)) return null;
    if (!mine && this.#entries.size >= WORKERS_MAX) return null;
    const named = this.#tick(nowMs, runId, workerId);
    const wasAway = !mine || mine.ack < 0 || this.#clock >= mine.expires;
    if (!mine || mine.ack < 0) mine = this.#register(renewal, mine !== undefined, named);
    mine.seq = seq;
    mine.expires = this.#clock + TTL;
    mine.lease = claim;
    mine.wanted = Math.ceil(renewal.wanted);
    mine.inFlight = inFlight;
    mine.cap = renewal.cap;
    mine.cutoff = Math.floor(renewal.cutoff);
    mine.arrivals = Math.ceil(renewal.arrivals);
    mine.ack = epoch === this.#epoch ? renewal.version : 0;

    const live = [...this.#entries.values()].filter((entry) => this.#isLive(entry));
    const isLearning = this.isLearning;
    if (mine.standing === JOINING && (!isLearning || this.#bugs.admitsAtOnce)) {
      const { since } = mine;
      const isKnown = live.every((entry) => entry.standing !== MEMBER || entry.ack >= since);
      if (isKnown || this.#bugs.admitsAtOnce) mine.standing = MEMBER!;
    }
    const sum = (read: (entry: Entry) => number) => live.reduce((all, entry) => all + read(entry), 0);
    const cap = Math.min(...live.map((entry) => entry.cap));
    const wanted = sum((entry) => entry.wanted);
    const arrivals = sum((entry) => entry.arrivals);
    const held = sum((entry) => entry.lease);
    const others = held - claim;
    const fitting = held > cap ? Math.floor((claim * cap) / held) : claim;
    let lease = 0;
    if (isLearning) lease = fitting;
    else if (mine.standing === MEMBER) {
      const target = fairShare(
        live.filter((entry) => entry.standing === MEMBER),
        mine,
        cap,
      );
      lease = claim < target ? claim + Math.min(target - claim, Math.max(0, cap - held)) : target;
      if (held > cap) lease = Math.min(lease, wasAway ? Math.max(0, cap - others) : fitting);
    }
    mine.lease = this.#bugs.grantsUnreturned ? lease : Math.max(claim, lease);
    const recent = [...this.#entries.values()].filter(
      ({ standing, expires }) => standing !== EXITED && this.#clock < expires + RECENT,
    ).length;
    if (this.#bugs.forgetsByExpiry) this.#workers = live.length;
    return {
      lease,
      standing: mine.standing as Standing,
      isLearning,
      workers: this.#workers,
      epoch: this.#epoch,
      version: this.#version,
      cap,
      held: others + mine.lease,
      inFlight: sum((entry) => entry.inFlight),
      wanted,
      isShort: wanted > cap,
      cutoff: arrivals > 0 ? Math.floor(sum((entry) => entry.cutoff * entry.arrivals) / arrivals) : 0,
      recentWorkers: isLearning ? Math.max(recent, this.#workers) : recent,
    };
  }

  /** Adds a worker that is new, or has not renewed in this epoch. */
  #register({ workerId, standing, epoch, workers }: Renewal, isKnown: boolean, namedBefore: number): Entry {
    const isFresh = !isKnown && standing === 0;
    if (isFresh) {
      this.#fresh++;
      this.#workers++;
    } else if (epoch !== this.#epoch) {
      this.#workers = Math.max(this.#workers - this.#fresh, workers) + this.#fresh;
    }
    this.#workers = Math.max(this.#workers, isKnown ? namedBefore : namedBefore + 1);
    this.#version++;
    const entry = entryOf({
      standing: standing === MEMBER ? MEMBER : JOINING!,
      since: this.#version,
      fresh: isFresh ? 1 : 0,
    });
    this.#entries.set(workerId, entry);
    return entry;
  }

  /** Advances the clock, detects lost state, removes old names. Returns the number of workers known by name. */
  #tick(nowMs: number, runId: string, id: string): number {
    const gap = nowMs - this.#time;
    if (this.#isNew || this.#isCorrupt || this.#runId !== runId || gap < 0 || gap > TTL) {
      this.#isNew = false;
      this.#isCorrupt = false;
      this.#runId = runId;
      this.#epoch = Math.max(this.#epoch + 1, nowMs);
      this.#learningUntil = this.#clock + TTL;
      this.#fresh = 0;
      for (const entry of this.#entries.values()) {
        if (entry.standing === EXITED) continue;
        entry.expires = Math.min(entry.expires, this.#clock);
        entry.lease = 0;
        entry.ack = -1;
        entry.fresh = 0;
      }
    } else this.#clock += gap > STEP_MAX ? STEP_DOUBTFUL : gap;
    this.#time = nowMs;
    let named = 0;
    for (const [name, entry] of this.#entries) {
      if (name !== id && this.#clock - entry.expires > (entry.standing === EXITED ? MARK : RETENTION)) {
        this.#fresh -= entry.fresh;
        this.#entries.delete(name);
      } else if (entry.standing !== EXITED) named++;
    }
    if (this.#clock >= this.#sweepAt) {
      const nameless = Math.max(0, this.#workers - named);
      const forgotten = Math.min(nameless, this.#nameless);
      this.#workers -= forgotten;
      this.#nameless = nameless - forgotten;
      this.#sweepAt = this.#clock + SWEEP;
    }
    return named;
  }
}

function entryOf(values: Partial<Entry>): Entry {
  const none = { seq: 0, expires: 0, lease: 0, wanted: 0, inFlight: 0, cap: 0, cutoff: 0, arrivals: 0 };
  return { ...none, ack: 0, standing: 0, since: 0, fresh: 0, ...values };
}

/** Max-min fair share of one worker: the smallest demand is served first; unclaimed permits are split evenly. */
function fairShare(members: Entry[], mine: Entry, cap: number): number {
  members.sort((a, b) => a.wanted - b.wanted || a.since - b.since);
  let left = cap;
  let share = 0;
  let place = 0;
  members.forEach((entry, i) => {
    const part = Math.min(entry.wanted, Math.floor(left / (members.length - i)));
    left -= part;
    if (entry === mine) [share, place] = [part, i];
  });
  const evenly = Math.floor(left / members.length);
  return share + evenly + (place < left - evenly * members.length ? 1 : 0);
}
