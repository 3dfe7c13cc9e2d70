import { AtlasError } from '../errors.ts';
import { type SealContext, type Sealing, SealingError } from '../utils/sealing.ts';

/** Returns the record of a secret. Throws the `AtlasError` that the caller gets if this host has no key to seal it. */
export function sealSecret(sealing: Sealing, secret: Uint8Array, context: SealContext): string {
  try {
    return sealing.seal(secret, context);
  } catch (cause) {
    throw toAtlasError(cause, 'This Atlas has no key to seal secrets with.');
  }
}

/** Returns the secret of a record. Throws the `AtlasError` that the caller gets, with `detail`, if this host cannot open it. */
export function openSecret(sealing: Sealing, record: string, context: SealContext, detail: string): Buffer {
  try {
    return sealing.open(record, context);
  } catch (cause) {
    throw toAtlasError(cause, detail);
  }
}

function toAtlasError(cause: unknown, detail: string): unknown {
  if (!(cause instanceof SealingError)) return cause;
  return new AtlasError('secrets_key_missing', detail, {
    cause,
    remedy:
      'Print a key with `atlas secrets key`, and set SECRETS_KEY to it on every host. Set former keys in SECRETS_FORMER_KEYS.',
  });
}
