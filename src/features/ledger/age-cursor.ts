import { cursorSchema, toHex } from '../../http/cursor.ts';

/** The position of an item in a list by age and id. */
export interface AgePosition {
  /** Microseconds since 1970. */
  readonly createdMicros: bigint;
  readonly id: string;
}

/** Creates the schema of the cursors of a list by age. The letter keeps the cursors of different lists apart. */
export const ageCursorSchema = (letter: string) =>
  cursorSchema(
    new RegExp(`^${letter}[0-9a-f]{46}$`),
    (text): AgePosition => ({ createdMicros: BigInt(`0x${text.slice(1, 15)}`), id: text.slice(15) }),
  );

export function toAgeCursor(letter: string, { createdMicros, id }: AgePosition): string {
  return `${letter}${toHex(createdMicros, 14)}${id.replaceAll('-', '')}`;
}
