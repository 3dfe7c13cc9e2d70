import type { ProblemKinds } from '../../http/problem-kind.ts';

/** Problems of files, their bytes, and links to them. */
export const fileProblems = {
  file_not_found: {
    status: 404,
    title: 'File not found',
    cause: 'You have no file with this ID, or it was deleted.',
    remedy: 'Check the ID. GET /v1/files lists your files.',
  },
  file_incomplete: {
    status: 409,
    title: 'File incomplete',
    cause: 'The bytes have not been uploaded, or the upload has not been completed.',
    remedy: 'Upload the bytes to the link you were given, then complete the upload.',
  },
  file_type_refused: {
    status: 415,
    title: 'File type not allowed',
    cause: 'The bytes are not of an allowed type, or do not match the declared type.',
    remedy: 'Send one of the types named in `detail`, with a Content-Type that matches the bytes.',
  },
  file_corrupt: {
    status: 502,
    title: 'Stored file corrupt',
    cause:
      'The bytes returned by the object store do not match the checksum taken when the file was stored. None of them are delivered.',
    remedy:
      'Report the file ID to the operator of this Atlas. Restore the object from a backup, or upload the file again.',
  },
  checksum_mismatch: {
    status: 422,
    title: 'Checksum mismatch',
    cause: 'The SHA-256 of the received bytes differs from the declared one.',
    remedy: 'Upload the file again, and compute the checksum over exactly the bytes you send.',
  },
  range_not_satisfiable: {
    status: 416,
    title: 'Range not satisfiable',
    cause: 'The Range header requests bytes beyond the end of the file.',
    remedy: 'Request bytes below the size in Content-Range.',
  },
  link_invalid: {
    status: 403,
    title: 'Invalid link',
    cause: 'The link has expired, was altered, or was issued for a different request.',
    remedy: 'Request a new link.',
  },
} as const satisfies ProblemKinds;

declare module '../../errors.ts' {
  interface ErrorCodes extends Record<keyof typeof fileProblems, true> {}
}
