import { AtlasError } from '../errors.ts';
import { type SealContext, type Sealing, SealingError } from '../utils/sealing.ts';

/** Returns the record of a secret. Throws the `AtlasError` that the caller gets if this host has no key to seal it. */
export function sealSecret(sealing: Sealing, secret: Uint8Array, context: SealContext): string {
  try {
    return sealing.seal(secret, context);
  } catch (cause) {
    if (!(cause instanceof SealingError)) throw cause;
    throw new AtlasError('secrets_key_missing', 'This Atlas has no key to seal secrets with.', {
      cause,
      remedy: 'Print a key with `atlas secrets key`, and set SECRETS_KEY to it on every host.',
    });
  }
}
