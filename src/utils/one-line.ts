// Line breaks, characters that reorder text (Unicode Technical Report 36, section 3), and those that nobody sees: with
// them a name could look like that of somebody else, or a part of a mail like one of Atlas. Joiners are in names of
// scripts such as Persian, and in emoji.
const HIDDEN = new RegExp(
  [
    String.raw`(?<=[^\p{ASCII}\p{Script=Latin}\p{Cf}])([\u200C\u200D])(?=[^\p{ASCII}\p{Script=Latin}\p{Cf}])`,
    String.raw`[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u034F\u115F\u1160\u17B4\u17B5\u2800\u3164\uFFA0]`,
  ].join('|'),
  'gu',
);

/** Returns the text as one line, with a space instead of each character that is invisible or reorders others. */
export function toOneLine(text: string): string {
  return text.replace(HIDDEN, (_found, joiner?: string) => joiner ?? ' ');
}

/** Whether a text is one line, without characters that are invisible or reorder others. */
export const isOneLine = (text: string): boolean => toOneLine(text) === text;
