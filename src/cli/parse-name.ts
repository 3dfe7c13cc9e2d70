import { InvalidArgumentError } from 'commander';
import { isOneLine } from '../utils/one-line.ts';

/** Returns the name of a person or a key as it is. Throws unless it is one line of visible characters. */
export function parseName(text: string): string {
  if (!isOneLine(text)) throw new InvalidArgumentError('It must be one line of visible characters.');
  return text;
}
