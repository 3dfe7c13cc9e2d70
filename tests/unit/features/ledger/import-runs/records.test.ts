import { expect, test } from 'bun:test';
import fc from 'fast-check';
import {
  type Block,
  type Place,
  readBlocks,
} from '../../../../../src/features/ledger/import-runs/records.ts';

const START: Place = { position: 0, line: 1 };
const sourceOf = (text: string | Buffer) => {
  const bytes = Buffer.from(text);
  return {
    sizeBytes: bytes.length,
    read: async (first: number, last: number) => bytes.subarray(first, last + 1),
  };
};

async function blocksOf(
  text: string | Buffer,
  quoted: boolean,
  from = START,
  recordsMax?: number,
): Promise<Block[]> {
  const blocks: Block[] = [];
  const options = { quoted, ...(recordsMax !== undefined && { recordsMax }) };
  for await (const block of readBlocks(sourceOf(text), from, options)) blocks.push(block);
  return blocks;
}
const textsOf = (blocks: readonly Block[]) =>
  blocks.flatMap(({ records }) =>
    records.map(({ line, bytes }) => [line, bytes?.toString() ?? null] as const),
  );

test('a record is a line with content, with its number, whatever ends it', async () => {
  expect(textsOf(await blocksOf('a\r\n\r\n\nb\nc', false))).toEqual([
    [1, 'a'],
    [4, 'b'],
    [5, 'c'],
  ]);
});

test('a line end between quotes belongs to the record, and counts as a line', async () => {
  expect(textsOf(await blocksOf('a,"b\nc ""d"""\n"e\r\n"\nf', true))).toEqual([
    [1, 'a,"b\nc ""d"""'],
    [3, '"e\r\n"'],
    [5, 'f'],
  ]);
});

test('a line that is too long is one record without bytes, and those after it are read', async () => {
  const long = 'x'.repeat(3_000_000);
  expect(textsOf(await blocksOf(`a\n${long}\nb\n`, false))).toEqual([
    [1, 'a'],
    [2, null],
    [3, 'b'],
  ]);
  expect(textsOf(await blocksOf(`a\n"${long}\n${long}"\nb\n`, true))).toEqual([
    [1, 'a'],
    [2, null],
    [4, 'b'],
  ]);
});

test('reading on from the end of any block yields what reading at once does, and the same blocks', async () => {
  const text = fc.array(fc.constantFrom('a', '"', '\n', '\r\n', 'ä', ',', 'b'.repeat(300_000)), {
    maxLength: 60,
  });
  await fc.assert(
    fc.asyncProperty(
      text,
      fc.boolean(),
      fc.integer({ min: 1, max: 4 }),
      async (parts, quoted, recordsMax) => {
        const file = parts.join('');
        const whole = await blocksOf(file, quoted, START, recordsMax);
        for (const [i, { next }] of whole.entries()) {
          const rest = await blocksOf(file, quoted, next, recordsMax);
          expect(textsOf(rest)).toEqual(textsOf(whole.slice(i + 1)));
          expect(rest.map((block) => block.next)).toEqual(whole.slice(i + 1).map((block) => block.next));
        }
        expect(whole.at(-1)?.next.position ?? 0).toBe(Buffer.byteLength(file));
      },
    ),
    { numRuns: 60 },
  );
});
