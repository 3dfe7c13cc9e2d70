import { LeaseHolder } from '../../src/shedding/lease-holder.ts';
import { type RenewalReply, TTL_MS } from '../../src/shedding/lease-protocol.ts';
import { type Cut, Network } from './network.ts';
import type { PlantedBug } from './planted-bugs.ts';
import { Random } from './random.ts';
import { Referee } from './referee.ts';
import { type Copy, SimulatedRedis } from './simulated-redis.ts';
import { SimulatedWorker } from './simulated-worker.ts';
import { VirtualClock } from './virtual-clock.ts';

/** Parameters of a world. */
export interface WorldOptions {
  readonly seed: number;
  readonly cap: number;
  readonly workers: number;
  readonly meanWorkMs: number;
  /** Longest duration of a request, as HTTP_TIMEOUT would limit it. */
  readonly longestWorkMs: number;
  readonly bug?: PlantedBug;
  /** Called for everything that happens. */
  readonly trace?: (line: string) => void;
}

const WORKERS_MAX = 10;

/** Workers, Redis and a network in virtual time, with a referee. */
export class World {
  readonly clock = new VirtualClock();
  readonly random: Random;
  readonly redis: SimulatedRedis;
  readonly network: Network;
  readonly referee: Referee;
  readonly #options: WorldOptions;
  readonly #workers = new Set<SimulatedWorker>();
  readonly #weights = new Map<SimulatedWorker, number>();
  #started = 0;
  #outage = 0;
  /** Requests per second over all workers. */
  #load = 0;
  #trace: (line: string) => void;
  /** Hash of the sequence of events: two runs of one seed must agree on it. */
  hash = 0x811c9dc5;
  admissions = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.#trace = options.trace ?? (() => {});
    this.random = new Random(options.seed);
    this.redis = new SimulatedRedis(this.clock, this.random, options.bug?.account ?? {});
    this.network = new Network(this.clock, this.random);
    const { cap, workers, longestWorkMs } = options;
    const limits = { cap, fallbackWorkers: workers, longestWorkMs };
    this.referee = new Referee(this.clock, this.redis, this.#workers, limits);
    for (let i = 0; i < workers; i++) this.clock.at(this.random.between(0, 200), () => this.startWorker());
  }

  liveWorkers(): SimulatedWorker[] {
    for (const worker of this.#workers) if (!worker.isAlive) this.#workers.delete(worker);
    return [...this.#workers];
  }

  anyWorker(): SimulatedWorker | undefined {
    const live = this.liveWorkers();
    return live.length > 1 ? this.random.pick(live) : undefined;
  }

  /** At least one worker, but not all of several. */
  someWorkers(): SimulatedWorker[] {
    const live = this.liveWorkers();
    const some = live.filter(() => this.random.chance(0.4)).slice(0, Math.max(1, live.length - 1));
    return some.length > 0 ? some : live.slice(0, 1);
  }

  startWorker(): void {
    if (this.liveWorkers().length >= WORKERS_MAX) return;
    const { cap, workers, bug, longestWorkMs, meanWorkMs } = this.#options;
    const { clock, random, redis, network } = this;
    const number = ++this.#started;
    const id = `worker-${number}`;
    const around = {
      clock,
      random,
      redis,
      network,
      admitted: (worker: SimulatedWorker) => this.#admitted(worker),
      counted: (worker: SimulatedWorker, reply: RenewalReply | null) => this.#counted(worker, reply),
    };
    const worker = new SimulatedWorker(id, 1 << number, around, (startMs) => {
      const holder = new LeaseHolder({
        workerId: id,
        cap,
        fallbackWorkers: workers,
        riseAfterMs: bug?.riseAfterMs ?? longestWorkMs + TTL_MS,
        startMs,
        random: () => random.next(),
      });
      return bug?.holder?.(holder, cap) ?? holder;
    });
    worker.meanWorkMs = meanWorkMs;
    worker.longestWorkMs = longestWorkMs;
    this.#workers.add(worker);
    this.note(`${id} starts`);
    this.#share();
  }

  cut(workers: readonly SimulatedWorker[], kind: Cut, lastsMs: number): void {
    for (const worker of workers) worker.cut = kind;
    this.clock.after(lastsMs, () => {
      for (const worker of workers) worker.cut = 'none';
      this.network.release();
    });
  }

  crashRedis(lastsMs: number, saved: Copy | null): void {
    const outage = ++this.#outage;
    this.redis.crash();
    this.network.drop();
    this.clock.after(lastsMs, () => {
      if (this.#outage === outage) this.redis.restart(saved);
    });
  }

  /** Reports a dead worker, as a supervisor does, and retries while Redis is unavailable. */
  reportExit(worker: SimulatedWorker, afterMs: number): void {
    this.clock.after(afterMs, () => {
      if (this.redis.isUp) this.redis.exit(worker.id);
      else this.reportExit(worker, 200);
    });
  }

  /** Sets the load. Weights are assigned to the workers in turn. */
  demand(perSecond: number, weights: readonly number[]): void {
    this.#load = perSecond;
    this.liveWorkers().forEach((worker, i) => {
      this.#weights.set(worker, weights[i % weights.length]!);
    });
    this.#share();
  }

  /** Distributes callers over the workers by weight. */
  call(callers: number, weights: readonly number[]): void {
    const live = this.liveWorkers();
    const sum = live.reduce((all, _, i) => all + weights[i % weights.length]!, 0);
    live.forEach((worker, i) => {
      worker.call(Math.round((callers * weights[i % weights.length]!) / sum));
    });
  }

  #share(): void {
    const live = this.liveWorkers();
    const weightOf = (worker: SimulatedWorker) => this.#weights.get(worker) ?? 1;
    const sum = live.reduce((all, worker) => all + weightOf(worker), 0);
    for (const worker of live) worker.load(sum === 0 ? 0 : (this.#load * weightOf(worker)) / sum);
  }

  #admitted(worker: SimulatedWorker): void {
    this.admissions++;
    this.#mix(this.clock.nowMs * 1024 + worker.inFlight);
    this.referee.check();
  }

  #counted(worker: SimulatedWorker, reply: RenewalReply | null): void {
    this.#mix(this.redis.account.held * 8192 + this.clock.nowMs);
    this.referee.counted(worker, reply);
  }

  note(line: string): void {
    const stats = this.liveWorkers().map(({ id, inFlight, reply }) => `${id} ${inFlight}/${reply?.lease}`);
    this.#trace(`${this.clock.nowMs.toFixed(2).padStart(9)} ms  ${line}  (${stats.join(', ')})`);
    for (let i = 0; i < line.length; i++) this.#mix(line.charCodeAt(i));
  }

  #mix(value: number): void {
    this.hash = Math.imul(this.hash ^ (value | 0), 0x01000193) >>> 0;
  }
}
