import { type Config, loadConfig } from '../config.ts';
import { type Deps, openDeps } from '../deps.ts';
import { createLogger } from '../instrumentation/logger.ts';
import { createServices, type Services } from '../services.ts';

/** Runs a command on opened dependencies and closes them afterwards, whatever happens. */
export async function withDeps<T>(work: (deps: Deps, config: Config) => Promise<T>): Promise<T> {
  const { config } = loadConfig();
  const onProgress = (text: string) => void process.stderr.write(`Atlas: ${text} …\n`);
  const deps = await openDeps(config, createLogger(config), { onProgress });
  try {
    return await work(deps, config);
  } finally {
    await deps.close();
  }
}

/** Like {@link withDeps}, with the services of every feature. */
export function withServices<T>(work: (services: Services) => Promise<T>): Promise<T> {
  return withDeps((deps) => work(createServices(deps)));
}
