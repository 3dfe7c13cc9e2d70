import type { ProblemKinds } from '../../../http/problem-kind.ts';

/** Problems of imports and exports. */
export const importProblems = {
  import_not_found: {
    status: 404,
    title: 'Import not found',
    cause: 'Your organization has no import with this ID. Imports are deleted 30 days after they finished.',
    remedy: 'GET /v1/imports lists the imports.',
  },
  too_many_imports: {
    status: 409,
    title: 'Too many unfinished imports',
    cause: 'Your organization has reached the limit of 20 unfinished imports.',
    remedy: 'Wait until one has finished, or cancel it: POST /v1/imports/{id}/cancel.',
  },
  import_finished: {
    status: 409,
    title: 'Import already finished',
    cause: 'The import is done, has failed, or was canceled before.',
    remedy: 'Read its `state`: GET /v1/imports/{id}. Reverse transfers that should not have been posted.',
  },
  import_file_too_large: {
    status: 422,
    title: 'File too large to import',
    cause: 'The file has more than 5368709120 bytes.',
    remedy: 'Nothing was imported. Split the file, and import its parts one after the other.',
  },
} as const satisfies ProblemKinds;

declare module '../../../errors.ts' {
  interface ErrorCodes extends Record<keyof typeof importProblems, true> {}
}
