const QUOTE = 34;
const BACKSLASH = 92;

/**
 * Returns whether the text nests brackets deeper than `depthMax`. It scans characters only, so it is cheap, cannot
 * overflow a stack, and stops at the first bracket too many.
 */
export function isDeeperThan(text: string, depthMax: number): boolean {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (inString) {
      if (code === BACKSLASH) i++;
      else if (code === QUOTE) inString = false;
    } else if (code === QUOTE) inString = true;
    else if (code === 91 || code === 123) {
      if (++depth > depthMax) return true;
    } else if (code === 93 || code === 125) depth--;
  }
  return false;
}
