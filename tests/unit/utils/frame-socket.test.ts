import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FRAME_BYTES_MAX, FrameConnection, type FrameListener } from '../../../src/utils/frame-socket.ts';
import { until } from '../../support/until.ts';

let folder: string;
let path: string;
let listeners: FrameListener[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atlas-frames-'));
  path = join(folder, 'a.sock');
  listeners = [];
});
afterEach(async () => {
  for (const listener of listeners) listener.close();
  await rm(folder, { recursive: true });
});

/** One end of a connection, with what it has received. */
class End {
  readonly frames: unknown[] = [];
  closed = 0;
  onFrame(frame: unknown): void {
    this.frames.push(frame);
  }
  onClosed(): void {
    this.closed++;
  }
}

/** Listens, and returns the ends that clients have opened. */
function listen(): { ends: End[]; connections: FrameConnection[] } {
  const ends: End[] = [];
  const connections: FrameConnection[] = [];
  const listener = FrameConnection.listen(path, (connection) => {
    const end = new End();
    ends.push(end);
    connections.push(connection);
    return end;
  });
  listeners.push(listener);
  return { ends, connections };
}

async function connect(): Promise<{ end: End; connection: FrameConnection }> {
  const end = new End();
  return { end, connection: await FrameConnection.connect(path, () => end) };
}

/** Connects and writes raw bytes, in parts. */
async function writeRaw(...parts: readonly Uint8Array[]): Promise<Socket> {
  const socket = createConnection(path);
  socket.on('error', () => {});
  for (const part of parts) {
    socket.write(part);
    await Bun.sleep(5);
  }
  return socket;
}

function rawFrame(text: string): Buffer {
  const body = Buffer.from(text);
  const header = Buffer.alloc(4);
  header.writeUInt32BE(body.length);
  return Buffer.concat([header, body]);
}

describe('frames', () => {
  test('arrive whole and in order, in both directions', async () => {
    const { ends, connections } = listen();
    const { end, connection } = await connect();
    const sent = Array.from({ length: 500 }, (_, i) => ({ i, text: 'ä€'.repeat(i) }));
    for (const frame of sent) connection.send(JSON.stringify(frame));
    await until(() => ends[0]?.frames.length === sent.length);
    expect(ends[0]!.frames).toEqual(sent);
    connections[0]!.send('[1]');
    await until(() => end.frames.length === 1);
    expect(end.frames).toEqual([[1]]);
    connection.close();
  });

  test('arrive whole even if each is larger than what the socket takes at once', async () => {
    const { ends } = listen();
    const { connection } = await connect();
    const text = 'x'.repeat(FRAME_BYTES_MAX - 2);
    for (let i = 0; i < 3; i++) connection.send(`"${text}"`);
    expect(connection.unsentBytes).toBeGreaterThan(0);
    await until(() => ends[0]?.frames.length === 3);
    expect(ends[0]!.frames.every((frame) => frame === text)).toBe(true);
    expect(connection.unsentBytes).toBe(0);
    connection.close();
  });

  test('arrive whole in parts of any size', async () => {
    const { ends } = listen();
    const bytes = Buffer.concat([rawFrame('[1]'), rawFrame('"ä"'), rawFrame('[]')]);
    const socket = await writeRaw(...Array.from(bytes, (byte) => Uint8Array.of(byte)));
    await until(() => ends[0]?.frames.length === 3);
    expect(ends[0]!.frames).toEqual([[1], 'ä', []]);
    socket.destroy();
  });
});

describe('a connection closes', () => {
  test('once, at both ends, whichever end closes it', async () => {
    const { ends } = listen();
    const { end, connection } = await connect();
    await until(() => ends.length === 1);
    connection.close();
    connection.close();
    expect(end.closed).toBe(1);
    await until(() => ends[0]!.closed === 1);
    connection.send('[]');
    expect(ends[0]!.frames).toEqual([]);
  });

  test('on a frame that is not JSON, or declares to be too long', async () => {
    const { ends } = listen();
    for (const bytes of [rawFrame('{'), Uint8Array.of(255, 255, 255, 255)]) await writeRaw(bytes);
    await until(() => ends.length === 2 && ends.every(({ closed }) => closed === 1));
    expect(ends.flatMap(({ frames }) => frames)).toEqual([]);
  });

  test('instead of sending a frame that is too long', async () => {
    listen();
    const { end, connection } = await connect();
    connection.send(`"${'x'.repeat(FRAME_BYTES_MAX)}"`);
    expect(end.closed).toBe(1);
  });

  test('when its peer does not read and too much waits', async () => {
    listen();
    const { end, connection } = await connect();
    const frame = `"${'x'.repeat(FRAME_BYTES_MAX - 2)}"`;
    // Nothing is read before the next turn of the loop.
    for (let i = 0; i < 6; i++) connection.send(frame);
    expect(end.closed).toBe(1);
  });
});

test('only the user of this process may connect', async () => {
  listen();
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test('a listener replaces the leftover of another one, and removes its own socket', async () => {
  listen();
  listen();
  const { connection } = await connect();
  connection.close();
  for (const listener of listeners) listener.close();
  await expect(stat(path)).rejects.toThrow();
  await expect(connect()).rejects.toThrow();
});
