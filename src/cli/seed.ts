import type { Command } from 'commander';
import type { Feature } from '../features/feature.ts';
import type { Features } from '../features.ts';
import { DEMO_ACCOUNTS } from '../utils/demo-data.ts';
import type { WithService } from './session.ts';

/**
 * Creates the demo data of every feature. Repeating it changes nothing. An error ends it unless `onError` is given, as
 * at the start of a server, which can serve without.
 */
export async function seed(features: Features, onError?: (error: unknown) => void): Promise<void> {
  for (const feature of Object.values<Feature>(features)) {
    try {
      await feature.seed?.();
    } catch (error) {
      if (onError === undefined) throw error;
      onError(error);
    }
  }
}

export function addSeedCommand(program: Command, withFeatures: WithService<Features>): void {
  program
    .command('seed')
    .description('create the demo data: accounts, a transfer, files, webhooks, and a person; safe to repeat')
    .action(() =>
      withFeatures(async (features) => {
        await seed(features);
        console.log(
          Object.entries(DEMO_ACCOUNTS)
            .map(([name, id]) => `${name.padEnd(6)} ${id}`)
            .join('\n'),
        );
      }),
    );
}
