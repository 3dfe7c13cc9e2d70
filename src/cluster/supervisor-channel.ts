import { AtlasError } from '../errors.ts';
import { type FromSupervisor, type FromWorker, WORKER_ENVIRONMENT } from './messages.ts';

const SCRAPE_MAX_MS = 2000;
const SCRAPES_MAX = 64;

/** What a worker's supervisor has said it is. */
export interface WorkerIdentity {
  readonly workerId: string;
  readonly slot: number;
  readonly incarnation: number;
  readonly workers: number;
  readonly databaseMode: 'embedded' | 'connected';
}

/** Reads who this worker is. Throws an Error where no supervisor has started the process. */
export function readIdentity(environment: Readonly<Record<string, string | undefined>>): WorkerIdentity {
  const { id, slot, incarnation, workers, databaseMode } = WORKER_ENVIRONMENT;
  if (!process.send || !environment[id]) {
    throw new Error(
      'A worker does not run alone.\n  why:  its supervisor gives it its share, its place and its end\n  do:   run atlas serve; API_WORKERS says how many workers it starts',
    );
  }
  return {
    workerId: environment[id],
    slot: Number(environment[slot]),
    incarnation: Number(environment[incarnation]),
    workers: Number(environment[workers]),
    databaseMode: environment[databaseMode] === 'embedded' ? 'embedded' : 'connected',
  };
}

/** The worker's end of the control channel. */
export class SupervisorChannel {
  /** Told of everything but the answers to scrapes. */
  onMessage: (message: FromSupervisor) => void = () => {};
  /** Told once when the supervisor is gone. */
  onLost: () => void = () => {};
  readonly #scrapes = new Map<number, (text: string) => void>();
  #scrapesSent = 0;
  #unsent = 0;

  constructor() {
    process.on('message', (message: FromSupervisor) => {
      if (message.kind === 'scraped') this.#scrapes.get(message.id)?.(message.text);
      else this.onMessage(message);
    });
    process.on('disconnect', () => this.onLost());
  }

  get isOpen(): boolean {
    return process.connected;
  }

  /** Whether the supervisor has not yet read what was sent: then nothing that can wait should be sent. */
  get isBehind(): boolean {
    return this.#unsent > 0;
  }

  /** Sends a message, and resolves when it is on its way or cannot be sent any more. */
  send(message: FromWorker): Promise<void> {
    if (!process.connected) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#unsent++;
    const done = () => {
      this.#unsent--;
      resolve();
    };
    try {
      process.send!(message, undefined, undefined, done);
    } catch {
      done();
    }
    return promise;
  }

  /** The metrics of the whole cluster. Throws an AtlasError where the supervisor does not answer in time. */
  async scrape(): Promise<string> {
    if (this.#scrapes.size >= SCRAPES_MAX || !process.connected) throw unanswered();
    const id = ++this.#scrapesSent;
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    this.#scrapes.set(id, resolve);
    const timer = setTimeout(() => reject(unanswered()), SCRAPE_MAX_MS);
    void this.send({ kind: 'scrape', id });
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#scrapes.delete(id);
    }
  }
}

/** This worker's own stats instead would look like counters that have fallen. */
function unanswered(): AtlasError {
  return new AtlasError('dependency_unavailable', 'The supervisor of this worker does not answer.', {
    retryAfterSeconds: 1,
  });
}
