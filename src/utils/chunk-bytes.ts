/**
 * Size of a chunk: the unit in which object stores read, and in which the bytes of a file are hashed, verified and
 * delivered. Digests are stored per chunk, and the constraints of the table `files` depend on it.
 */
export const CHUNK_BYTES = 1_048_576;
