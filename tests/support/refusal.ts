import { AtlasError } from '../../src/errors.ts';

/** Returns the error that the call throws. Fails the test if it throws none. */
export function refusalOf(run: () => unknown): AtlasError {
  try {
    run();
  } catch (error) {
    if (error instanceof AtlasError) return error;
    throw error;
  }
  throw new Error('Expected a refusal.');
}
