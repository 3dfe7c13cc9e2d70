import { createApp, type Deps, openDeps } from '../app.ts';
import { type Config, loadConfig } from '../config.ts';
import { createLogger } from '../instrumentation/logger.ts';

/** Runs a command on opened dependencies and closes them afterwards, whatever happens. */
export async function withDeps<T>(work: (deps: Deps, config: Config) => Promise<T>): Promise<T> {
  const { config } = loadConfig();
  const deps = await openDeps(config, createLogger(config), (text) =>
    process.stderr.write(`Atlas: ${text} …\n`),
  );
  try {
    return await work(deps, config);
  } finally {
    await deps.close();
  }
}

/** Like {@link withDeps}, with the services of the app. */
export function withApp<T>(work: (app: ReturnType<typeof createApp>, deps: Deps) => Promise<T>): Promise<T> {
  return withDeps((deps) => work(createApp(deps), deps));
}
