import { createHash } from 'node:crypto';

/** Returns the id of the nth account, as the pgbench script computes it, so that both use the same accounts. */
export function accountId(n: number): string {
  const hex = createHash('md5').update(`a${n}`).digest('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
