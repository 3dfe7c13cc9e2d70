import { integer, meta } from '../../utils/setting-types.ts';

/** How much organizations may store. */
export const documentSettings = {
  DOCUMENTS_MAX_BYTES: integer(1_048_576, 1_099_511_627_776)
    .default(1_073_741_824)
    .meta(
      meta(
        'Documents',
        'Maximum bytes of the documents and schemas of an organization, with their history. Each version counts its content and 1 KiB.',
      ),
    ),
};
