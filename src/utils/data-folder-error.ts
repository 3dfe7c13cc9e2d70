/** Returns an Error that says that the data folder cannot be used, why, and what to do. */
export function dataFolderError(error: unknown, folder: string): Error {
  const { message } = error as NodeJS.ErrnoException;
  return new Error(
    `The data folder ${folder} cannot be used.\n  why:  ${message}\n  do:   ${fileRemedy(error)}, or set ATLAS_DATA_DIR to another folder`,
    { cause: error },
  );
}

/** Returns what to do about an error of the file system. */
export function fileRemedy(error: unknown): string {
  return REMEDIES[(error as NodeJS.ErrnoException).code ?? ''] ?? 'check the path and its disk';
}

const WRITABLE = 'let the user that runs Atlas read and write it';
const NO_FILE = 'move the file away that has the name of a folder';
const REMEDIES: Readonly<Record<string, string>> = {
  EACCES: WRITABLE,
  EPERM: WRITABLE,
  EROFS: 'mount its file system writable',
  ENOTDIR: NO_FILE,
  EEXIST: NO_FILE,
  ENOSPC: 'free disk space',
  EDQUOT: 'free disk space',
  EISDIR: 'move the folder away that has the name of a file',
};

/** Whether an error is about a path of the file system, and not about a command that could not be run. */
export function isFileError(error: unknown): error is NodeJS.ErrnoException {
  if (!(error instanceof Error && 'path' in error && 'code' in error)) return false;
  return !('syscall' in error && String(error.syscall).startsWith('spawn'));
}
