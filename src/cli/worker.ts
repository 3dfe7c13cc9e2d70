import type { Command } from 'commander';
import { readIdentity } from '../cluster/supervisor-channel.ts';
import { runWorker } from '../cluster/worker.ts';
import { loadConfig } from '../config.ts';
import { createLogger } from '../instrumentation/logger.ts';

/** Adds the command that `serve` runs for each worker. It is hidden, as nobody runs it by hand. */
export function addWorkerCommand(program: Command): void {
  program
    .command('worker', { hidden: true })
    .description('run as a worker of a supervisor')
    .action(async () => {
      const identity = readIdentity(process.env);
      // The supervisor passes every setting; reading a `.env` edited since would mix two configurations.
      const { config } = loadConfig(process.env, null);
      const logger = createLogger(config, undefined, identity.workers);
      await runWorker(
        config,
        identity.workers > 1 ? logger.child({ worker: identity.slot }) : logger,
        identity,
      );
    });
}
