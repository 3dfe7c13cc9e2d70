/** An entry of a {@link FairQueue}. `cost` is what it takes of a batch, at least 1. */
export interface Queued {
  readonly owner: string;
  readonly cost: number;
}

/** The entries of one owner, and how much it may take in its turn. */
interface Flow<T> {
  readonly entries: T[];
  cost: number;
  deficit: number;
  hasTurn: boolean;
}

/**
 * A queue that serves its owners in turn (deficit round robin: Shreedhar and Varghese, SIGCOMM 1995), so that the wait
 * of one does not grow with what others have queued. The entries of an owner stay in order. It has nothing of an owner
 * without entries.
 */
export class FairQueue<T extends Queued> {
  readonly #quantum: number;
  /** In the order of their turns. */
  readonly #flows = new Map<string, Flow<T>>();
  #cost = 0;

  /** `quantum` is the cost that an owner may take per turn. A more expensive entry waits for several turns. */
  constructor(quantum: number) {
    this.#quantum = quantum;
  }

  /** Total cost of the entries. */
  get cost(): number {
    return this.#cost;
  }

  push(entry: T): void {
    let flow = this.#flows.get(entry.owner);
    if (flow === undefined) {
      flow = { entries: [], cost: 0, deficit: 0, hasTurn: false };
      this.#flows.set(entry.owner, flow);
    }
    flow.entries.push(entry);
    flow.cost += entry.cost;
    this.#cost += entry.cost;
  }

  /** Removes an entry. Returns false if it is not in the queue. */
  remove(entry: T): boolean {
    const flow = this.#flows.get(entry.owner);
    if (flow === undefined) return false;
    const at = flow.entries.indexOf(entry);
    if (at < 0) return false;
    flow.entries.splice(at, 1);
    this.#removed(flow, entry);
    return true;
  }

  /** All entries, in no particular order. */
  entries(): T[] {
    const entries: T[] = [];
    for (const flow of this.#flows.values()) entries.push(...flow.entries);
    return entries;
  }

  /**
   * Removes and returns entries up to a total cost: a first one of any cost, and more while they fit. An owner whose
   * first entry is held is passed over.
   */
  take(costMax: number, isHeld: (entry: T) => boolean = () => false): T[] {
    const taken: T[] = [];
    let cost = 0;
    for (let passed = 0; passed < this.#flows.size; ) {
      const [owner, flow] = this.#flows.entries().next().value!;
      if (isHeld(flow.entries[0]!)) {
        passed++;
        this.#endTurn(owner, flow);
        continue;
      }
      passed = 0;
      if (!flow.hasTurn) flow.deficit += this.#quantum;
      flow.hasTurn = true;
      let count = 0;
      for (const entry of flow.entries) {
        if (entry.cost > flow.deficit || isHeld(entry)) break;
        if (taken.length > 0 && cost + entry.cost > costMax) {
          // Its turn continues in the next batch.
          this.#shift(flow, count);
          return taken;
        }
        taken.push(entry);
        count++;
        cost += entry.cost;
        flow.deficit -= entry.cost;
      }
      this.#shift(flow, count);
      if (flow.entries.length > 0) this.#endTurn(owner, flow);
      else this.#flows.delete(owner);
    }
    return taken;
  }

  /**
   * Removes and returns the newest entry of the owner that has the most queued, if that is more than this owner would
   * have with another entry of this cost (McKenney, Stochastic Fairness Queueing, 1990). Otherwise returns undefined.
   */
  displace(owner: string, cost: number): T | undefined {
    let longest: Flow<T> | undefined;
    for (const flow of this.#flows.values()) if (flow.cost > (longest?.cost ?? 0)) longest = flow;
    const own = this.#flows.get(owner)?.cost ?? 0;
    if (longest === undefined || longest.cost <= own + cost) return undefined;
    const entry = longest.entries.pop()!;
    this.#removed(longest, entry);
    return entry;
  }

  #endTurn(owner: string, flow: Flow<T>): void {
    flow.hasTurn = false;
    this.#flows.delete(owner);
    this.#flows.set(owner, flow);
  }

  #shift(flow: Flow<T>, count: number): void {
    for (const { cost } of flow.entries.splice(0, count)) {
      flow.cost -= cost;
      this.#cost -= cost;
    }
  }

  #removed(flow: Flow<T>, { owner, cost }: T): void {
    flow.cost -= cost;
    this.#cost -= cost;
    if (flow.entries.length === 0) this.#flows.delete(owner);
  }
}
