const QUOTE = 34;
const BACKSLASH = 92;
const STEP_LENGTH_MAX = 100;

/** Escapes a name for a JSON pointer (RFC 6901), shortened because callers choose names. */
export function pointerStep(name: string): string {
  return name.slice(0, STEP_LENGTH_MAX).replaceAll('~', '~0').replaceAll('/', '~1');
}

interface Level {
  readonly isObject: boolean;
  /** The last name, or the index. */
  step: string | number;
  expectsName: boolean;
}

/**
 * Returns the JSON pointer to the member whose name starts at this character of valid JSON, or to the number. It reads
 * the text from its start: it is for errors.
 *
 * @example jsonPointerTo('{"a":[1,2]}', 8) // '/a/1'
 */
export function jsonPointerTo(text: string, at: number): string {
  const levels: Level[] = [];
  for (let i = 0; i <= at; i++) {
    const level = levels.at(-1);
    const character = text[i];
    if (character === '"') {
      const end = endOfString(text, i + 1);
      if (level?.expectsName) {
        level.step = JSON.parse(text.slice(i, end + 1)) as string;
        level.expectsName = false;
      }
      i = end;
    } else if (character === ',' && level !== undefined) {
      if (level.isObject) level.expectsName = true;
      else (level.step as number)++;
    } else if (character === '{' || character === '[') {
      const isObject = character === '{';
      levels.push({ isObject, step: isObject ? '' : 0, expectsName: isObject });
    } else if (character === '}' || character === ']') levels.pop();
  }
  const pointer = levels.map(({ step }) => `/${pointerStep(String(step))}`).join('');
  return pointer.toWellFormed().replaceAll('\0', '');
}

function endOfString(text: string, start: number): number {
  let i = start;
  while (text.charCodeAt(i) !== QUOTE) i += text.charCodeAt(i) === BACKSLASH ? 2 : 1;
  return i;
}
