import { expect, test } from 'bun:test';
import { LogOutput, openLogOutput } from '../../../src/instrumentation/log-output.ts';

/** A pipe whose reader takes what was written when the test lets it. */
function slowSink() {
  const taken: string[] = [];
  let waiting: PromiseWithResolvers<number> | null = null;
  let isSlow = false;
  return {
    taken,
    stop: () => {
      isSlow = true;
    },
    read: async () => {
      isSlow = false;
      waiting?.resolve(0);
      await Promise.resolve();
      await Promise.resolve();
    },
    write(text: string) {
      taken.push(text);
      return text.length;
    },
    flush() {
      if (!isSlow) return 0;
      waiting = Promise.withResolvers();
      return waiting.promise;
    },
  };
}

test('lines are written as they come', () => {
  const sink = slowSink();
  const output = new LogOutput(sink);
  output.write('a\n');
  output.write('b\n');
  expect(sink.taken).toEqual(['a\n', 'b\n']);
  expect([output.isBlocked, output.dropped]).toEqual([false, 0]);
});

test('lines wait for a reader that has stopped, in order, and are written when it reads again', async () => {
  const sink = slowSink();
  const output = new LogOutput(sink);
  sink.stop();
  for (const line of ['a\n', 'b\n', 'c\n']) output.write(line);
  expect(sink.taken).toEqual(['a\n']);
  expect(output.isBlocked).toBe(true);
  await sink.read();
  expect(sink.taken.join('')).toBe('a\nb\nc\n');
  output.write('d\n');
  expect(sink.taken.join('')).toBe('a\nb\nc\nd\n');
  expect(output.dropped).toBe(0);
});

test('no more than a megabyte waits: the rest is dropped and counted', async () => {
  const sink = slowSink();
  const output = new LogOutput(sink);
  sink.stop();
  const line = `${'x'.repeat(1023)}\n`;
  for (let i = 0; i < 5000; i++) output.write(line);
  expect(output.dropped).toBe(5000 - 1 - 1024);
  await sink.read();
  expect(sink.taken.join('')).toHaveLength((1 + 1024) * 1024);
});

test('what has waited is written in whole lines of at most 4096 bytes, which no other writer can split', async () => {
  const sink = slowSink();
  const output = new LogOutput(sink);
  sink.stop();
  const lines = Array.from({ length: 500 }, (_, i) => `${'ä'.repeat(i % 300)}${i}\n`);
  for (const line of lines) output.write(line);
  await sink.read();
  expect(sink.taken.join('')).toBe(lines.join(''));
  // The first line went out alone. Of what follows, each write has as many lines as fit.
  for (let i = 2; i < sink.taken.length; i++) {
    const next = sink.taken[i]!.slice(0, sink.taken[i]!.indexOf('\n') + 1);
    expect(Buffer.byteLength(sink.taken[i - 1]! + next)).toBeGreaterThan(4096);
  }
  for (const text of sink.taken) {
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(4096);
    expect(text).toEndWith('\n');
  }
});

test('a line that is longer is written alone, and a reader that stops again stops the rest', async () => {
  const sink = slowSink();
  const output = new LogOutput(sink);
  sink.stop();
  const long = `${'x'.repeat(10_000)}\n`;
  for (const line of ['a\n', long, 'b\n', 'c\n']) output.write(line);
  const reading = sink.read();
  sink.stop();
  await reading;
  expect(sink.taken).toEqual(['a\n', long]);
  expect(output.isBlocked).toBe(true);
  await sink.read();
  expect(sink.taken).toEqual(['a\n', long, 'b\nc\n']);
  expect(output.dropped).toBe(0);
});

test('a reader that is gone costs lines, and never an error', async () => {
  const gone = new LogOutput({
    write: () => {
      throw new Error('EPIPE');
    },
    flush: () => 0,
  });
  gone.write('a\n');
  gone.write('b\n');
  expect([gone.isBlocked, gone.dropped]).toEqual([false, 2]);

  const leaving = new LogOutput({ write: () => 2, flush: () => Promise.reject(new Error('EPIPE')) });
  leaving.write('a\n');
  await new Promise(setImmediate);
  expect([leaving.isBlocked, leaving.dropped]).toEqual([false, 1]);
});

test('a reader that leaves while lines wait costs each of them, and no other', async () => {
  let fail = () => {};
  const sink = {
    write: (): unknown => Promise.reject(new Error('EPIPE')),
    flush: () =>
      new Promise<number>((_, reject) => {
        fail = () => reject(new Error('EPIPE'));
      }),
  };
  const output = new LogOutput(sink);
  const failWrite = async () => {
    fail();
    await new Promise(setImmediate);
  };
  for (const line of ['a\n', 'b\n', 'c\n', `${'x'.repeat(4093)}\n`, 'd\n']) output.write(line);
  const after = [];
  for (let write = 0; write < 3; write++) {
    await failWrite();
    after.push([output.isBlocked, output.dropped]);
  }
  expect(after).toEqual([
    [true, 1],
    [true, 3],
    [false, 5],
  ]);
});

test('what was written no longer counts as waiting, however often the reader stops', async () => {
  const sink = slowSink();
  const output = new LogOutput(sink);
  const line = `${'x'.repeat(1023)}\n`;
  for (let round = 0; round < 5; round++) {
    sink.stop();
    for (let i = 0; i < 1 + 1024; i++) output.write(line);
    expect(output.dropped).toBe(0);
    await sink.read();
    expect(output.isBlocked).toBe(false);
  }
});

test('lines of exactly 4096 bytes together are one write', async () => {
  const sink = slowSink();
  const output = new LogOutput(sink);
  sink.stop();
  const half = `${'x'.repeat(2047)}\n`;
  for (const line of ['a\n', half, half, 'b\n']) output.write(line);
  await sink.read();
  expect(sink.taken).toEqual(['a\n', half + half, 'b\n']);
});

test('the file is opened once, at the first line, and does not keep the process from exiting', () => {
  const events: string[] = [];
  const writer = {
    write: (text: string) => events.push(`write ${text}`),
    flush: () => events.push('flush'),
    unref: () => events.push('unref'),
  };
  const file = {
    writer: () => {
      events.push('open');
      return writer as unknown as ReturnType<(typeof Bun.stdout)['writer']>;
    },
  };
  const output = openLogOutput(file);
  expect(events).toEqual([]);
  output.write('a');
  output.write('b');
  expect(events).toEqual(['open', 'unref', 'write a', 'flush', 'write b', 'flush']);
});
