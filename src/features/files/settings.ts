import { decimal, integer, meta } from '../../utils/setting-types.ts';

/** Limits of uploads and downloads. */
export const fileSettings = {
  FILES_MAX_BYTES: integer(1, 5_497_558_138_880)
    .default(5_368_709_120)
    .meta(meta('Files', 'Maximum file size in bytes.')),
  FILES_TIMEOUT: decimal(1, 86_400)
    .default(3600)
    .meta(meta('Files', 'Maximum seconds for one upload or download.')),
};
