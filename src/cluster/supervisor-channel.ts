import { AtlasError } from '../errors.ts';
import { type FromSupervisor, type FromWorker, WORKER_ENVIRONMENT } from './messages.ts';

const SCRAPE_MAX_MS = 2000;
const SCRAPES_MAX = 64;

/** The identity that a supervisor assigns to a worker. */
export interface WorkerIdentity {
  readonly workerId: string;
  readonly slot: number;
  readonly incarnation: number;
  readonly workers: number;
  readonly databaseMode: 'embedded' | 'connected';
}

/** Reads the identity of this worker. Throws an Error if no supervisor has started the process. */
export function readIdentity(environment: Readonly<Record<string, string | undefined>>): WorkerIdentity {
  const { id, slot, incarnation, workers, databaseMode } = WORKER_ENVIRONMENT;
  if (!process.send || !environment[id]) {
    throw new Error(
      'A worker cannot run without its supervisor.\n  why:  the supervisor assigns its slot and its permits, and stops it\n  do:   run atlas serve; API_WORKERS sets how many workers it starts',
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
  /** Called with every message except the replies to scrapes. */
  onMessage: (message: FromSupervisor) => void = () => {};
  /** Called once when the supervisor is gone. */
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

  /** Whether the supervisor has messages left to read; then send nothing that can wait. */
  get isBehind(): boolean {
    return this.#unsent > 0;
  }

  /** Sends a message. Resolves when it is handed to the system, or cannot be sent. */
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

  /** Returns the metrics of the whole cluster. Throws an AtlasError if the supervisor does not reply in time. */
  async scrape(): Promise<string> {
    if (this.#scrapes.size >= SCRAPES_MAX || !process.connected) throw unavailable();
    const id = ++this.#scrapesSent;
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    this.#scrapes.set(id, resolve);
    const timer = setTimeout(() => reject(unavailable()), SCRAPE_MAX_MS);
    void this.send({ kind: 'scrape', id });
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#scrapes.delete(id);
    }
  }
}

/** An error, because falling back to this worker's own stats would look like counters that decreased. */
function unavailable(): AtlasError {
  return new AtlasError('dependency_unavailable', "This worker's supervisor is not responding.", {
    retryAfterSeconds: 1,
  });
}
