import { AtlasError, type InputError } from '../errors.ts';

/** Members that the caller sets. */
export type Metadata = Readonly<Record<string, string>>;

/** Maximum size of the metadata of one account or transfer, as compact JSON in UTF-8. Older ones may have more. */
export const METADATA_BYTES_MAX = 16_384;

// As JSON, a UTF-16 code unit has at most six bytes, and a member four quotes, a colon and a comma.
const BYTES_PER_UNIT_MAX = 6;
const BYTES_PER_MEMBER = 6;

/** Whether the metadata is larger than new metadata may be. Usually this is clear without serializing it. */
export function isTooLarge(metadata: Metadata): boolean {
  let bytesMax = 2;
  for (const name in metadata)
    bytesMax += BYTES_PER_MEMBER + BYTES_PER_UNIT_MAX * (name.length + metadata[name]!.length);
  return bytesMax > METADATA_BYTES_MAX && bytesOf(metadata) > METADATA_BYTES_MAX;
}

const ERRORS_MAX = 20;

/** The refusal of metadata that is too large, by pointer. */
export function metadataTooLarge(
  found: readonly (readonly [pointer: string, metadata: Metadata])[],
): AtlasError {
  const errors = found.slice(0, ERRORS_MAX).map(([pointer, metadata]): InputError => {
    return { pointer, detail: `has ${bytesOf(metadata)} bytes; at most ${METADATA_BYTES_MAX} are allowed` };
  });
  return new AtlasError('metadata_too_large', 'The metadata is too large as JSON; see `errors`.', { errors });
}

function bytesOf(metadata: Metadata): number {
  return Buffer.byteLength(JSON.stringify(metadata));
}
