import { requireMigrated } from '../adapters/postgres/migrations.ts';
import { type Config, loadConfig } from '../config.ts';
import { type Deps, type DepsOptions, openDeps } from '../deps.ts';
import { createFeatures, type Features } from '../features.ts';
import { openLogOutput } from '../instrumentation/log-output.ts';
import { createLogger } from '../instrumentation/logger.ts';

/** Runs `work` with a service whose dependencies are open for as long as it takes. */
export type WithService<S> = <T>(work: (service: S) => Promise<T>) => Promise<T>;

/**
 * Opens the dependencies, runs `work`, and closes them again even if it fails. Logs go to standard error; `create` is
 * that of `openDeps`.
 */
export async function withDeps<T>(
  work: (deps: Deps, config: Config) => Promise<T>,
  { create = false }: Pick<DepsOptions, 'create'> = {},
): Promise<T> {
  const { config } = loadConfig();
  const onProgress = (text: string) => void process.stderr.write(`Atlas: ${text} …\n`);
  const logger = createLogger(config, openLogOutput(Bun.stderr));
  const deps = await openDeps(config, logger, { onProgress, create });
  try {
    await deps.database.requireSession();
    return await work(deps, config);
  } finally {
    await deps.close();
  }
}

/**
 * Picks the service that a command gets. Dependencies are opened only when the command runs, and the schema is checked
 * before it does anything.
 */
export function withService<S>(pick: (features: Features) => S): WithService<S> {
  return (work) =>
    withDeps(async (deps) => {
      await requireMigrated(deps.database);
      return work(pick(createFeatures(deps)));
    });
}
