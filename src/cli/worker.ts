import type { Command } from 'commander';
import { readIdentity } from '../cluster/supervisor-channel.ts';
import { runWorker } from '../cluster/worker.ts';
import { loadConfig } from '../config.ts';
import { createLogger } from '../instrumentation/logger.ts';

/** What `serve` starts for each worker. A person has no use for it, so the help leaves it out. */
export function addWorkerCommand(program: Command): void {
  program
    .command('worker', { hidden: true })
    .description('serve as one of the workers of a supervisor')
    .action(async () => {
      const identity = readIdentity(process.env);
      // Its supervisor gives it all settings; a file that was edited since would mix two configurations.
      const { config } = loadConfig(process.env, null);
      const logger = createLogger(config);
      await runWorker(
        config,
        identity.workers > 1 ? logger.child({ worker: identity.slot }) : logger,
        identity,
      );
    });
}
