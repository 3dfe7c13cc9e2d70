import { expect, test } from 'bun:test';
import { PieceReader } from '../../../src/utils/piece-reader.ts';

/** Creates a body of pieces that are all ready at once. */
function bodyOf(pieceBytes: number, count: number): ReadableStream<Uint8Array> {
  let sent = 0;
  return new ReadableStream(
    {
      pull(controller) {
        if (sent++ < count) controller.enqueue(new Uint8Array(pieceBytes));
        else controller.close();
      },
    },
    { highWaterMark: 0 },
  );
}

/** Reads to the end. Returns the size, and the most pieces that were read in one turn of the event loop. */
async function readAll(reader: PieceReader): Promise<{ bytes: number; inTurnMax: number }> {
  let bytes = 0;
  let inTurn = 0;
  let inTurnMax = 0;
  let isCounting = true;
  const endTurn = () => {
    inTurn = 0;
    if (isCounting) setImmediate(endTurn);
  };
  endTurn();
  for (let piece = await reader.read(); piece !== null; piece = await reader.read()) {
    bytes += piece.byteLength;
    inTurnMax = Math.max(inTurnMax, ++inTurn);
  }
  isCounting = false;
  return { bytes, inTurnMax };
}

test('only a few small pieces are read in one turn of the event loop', async () => {
  const { bytes, inTurnMax } = await readAll(new PieceReader(bodyOf(1, 1000)));
  expect(bytes).toBe(1000);
  expect(inTurnMax).toBeLessThanOrEqual(32);
});

test('large pieces are read as they arrive', async () => {
  expect((await readAll(new PieceReader(bodyOf(65_536, 200)))).inTurnMax).toBe(200);
});

test('a reader that is canceled while it waits for the next turn reads no more', async () => {
  const reader = new PieceReader(bodyOf(1, 1000));
  for (let i = 0; i < 16; i++) await reader.read();
  const next = reader.read();
  reader.cancel();
  expect(await next).toBeNull();
});
