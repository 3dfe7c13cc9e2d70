import { AtlasError } from '../../src/errors.ts';

/** The error with which Atlas refuses at once. Fails the test when it does not refuse. */
export function refusalOf(run: () => unknown): AtlasError {
  try {
    run();
  } catch (error) {
    if (error instanceof AtlasError) return error;
    throw error;
  }
  throw new Error('Nothing was refused.');
}
