import type { App } from '../app.ts';
import type { Config } from '../config.ts';
import type { Logger } from '../instrumentation/logger.ts';
import { VERSION } from '../version.ts';
import { prepareCommitSocket } from './commit-socket.ts';
import type { Committer } from './messages.ts';
import type { SupervisorChannel, WorkerIdentity } from './supervisor-channel.ts';

/** What a worker needs to be the committer of its host, or to send its payments to it. */
export interface CommitterRoleOptions {
  readonly committer: App['features']['ledger']['committer'];
  readonly config: Pick<Config, 'ATLAS_DATA_DIR' | 'API_PORT'>;
  readonly identity: Pick<WorkerIdentity, 'slot' | 'incarnation' | 'workers'>;
  readonly channel: Pick<SupervisorChannel, 'send'>;
  readonly logger: Logger;
}

/** The role of a worker in posting payments: it posts those of the whole host, or sends its own to one that does. */
export class CommitterRole {
  readonly #options: CommitterRoleOptions;
  #stopped: Promise<unknown> = Promise.resolve();

  constructor(options: CommitterRoleOptions) {
    this.#options = options;
  }

  /** Not that of Atlas alone: revisions between two releases have the same. */
  get #version(): string {
    return `${VERSION} ${this.#options.committer.protocol}`;
  }

  /** Becomes the committer of the host, or stops being it. A worker without siblings needs no socket. */
  assign(isCommitter: boolean): void {
    const { committer, config, identity, channel, logger } = this.#options;
    if (identity.workers === 1) return;
    this.#stopped = Promise.all([this.#stopped, committer.stopServing()]);
    if (!isCommitter) return;
    try {
      const socket = prepareCommitSocket(config.ATLAS_DATA_DIR, config.API_PORT, identity);
      committer.serve(socket);
      void channel.send({ kind: 'committing', committer: { socket, version: this.#version } });
    } catch (err) {
      logger.warn({ err }, 'this worker cannot post for the others; each posts its own payments');
    }
  }

  /** Sends payments to this committer from now on. One of another version would not understand them. */
  join({ socket, version }: Committer): void {
    this.#options.committer.join(version === this.#version ? socket : null);
  }

  /** Stops being the committer. Resolves when the payments of other workers have ended. */
  stop(): Promise<unknown> {
    this.assign(false);
    return this.#stopped;
  }
}
