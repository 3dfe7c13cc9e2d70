const LENGTH_MAX = 64;

/** Returns how many letters must be inserted, removed, replaced, or swapped with their neighbor (Damerau, 1964). */
export function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let least = Math.min(replaced, last[j]! + 1, row[j - 1]! + 1);
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwapped) least = Math.min(least, before[j - 2]! + 1);
      row.push(least);
    }
    before = last;
    last = row;
  }
  return last[b.length]!;
}

/**
 * Returns the candidate that was probably meant, or null if none is similar: at most two letters, or `lettersMax`, and a
 * third of the word, may differ. The case of letters does not matter.
 */
export function mostSimilar(given: string, candidates: readonly string[], lettersMax = 2): string | null {
  if (given.length > LENGTH_MAX) return null;
  const word = given.toLowerCase();
  let best: string | null = null;
  let bestDistance = Math.min(lettersMax, Math.ceil(given.length / 3)) + 1;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) >= bestDistance) continue;
    const distance = editDistance(word, candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}
