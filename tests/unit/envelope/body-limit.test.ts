import { describe, expect, test } from 'bun:test';
import { bodyLimit } from '../../../src/envelope/body-limit.ts';
import { AbortReason } from '../../../src/envelope/exchange.ts';
import { UNMATCHED } from '../../../src/utils/unmatched.ts';
import { exchangeOf, now } from '../../support/exchange.ts';

const LIMIT = 64;
// A size for which there is no room.
const RESERVED = 51;
const WASTEFUL = '/wasteful';
const limit = bodyLimit({
  json: { depthMax: 3, membersMax: 3 },
  tooLarge: (bytes) => new Error(`over ${bytes} bytes`),
  encoded: (encoding) => new Error(`encoded in ${encoding}`),
  tooDeep: (depth) => new Error(`over ${depth} levels`),
  altered: (kind, _text, at) => new Error(`${kind} at ${at}`),
  notUtf8: () => new Error('not UTF-8'),
  broken: (cause) => new Error('broken', { cause }),
  admission: {
    expectBody: (_exchange, bytes) => (bytes === RESERVED ? new Error('no room') : null),
    expectChunks: (exchange) => {
      if (exchange.route.pattern === WASTEFUL) return new Error('wasteful');
      exchange.chunks = { isWaiting: true, add: () => {}, arrived: () => {}, onEnded: null };
      return null;
    },
    reserve: (_exchange, bytes) => (bytes === RESERVED ? new Error('no room') : null),
  },
  stalled: () => new Error('stalled'),
  cut: (cause) => new Error('cut', { cause }),
});
const JSON_TYPE = { 'Content-Type': 'application/json' };
const declared = (length: number) => ({ ...JSON_TYPE, 'Content-Length': String(length) });

/** Passes a request through the layer to a handler that echoes the body. */
async function send(body: BodyInit | null, headers: Record<string, string> = JSON_TYPE): Promise<string> {
  const { request, exchange } = exchangeOf({ method: 'POST', headers, body }, { bodyLimitBytes: LIMIT });
  const response = await limit(() => new Response(exchange.bufferedBody as BodyInit))(request, exchange);
  return response.text();
}

/** Creates a chunked body that records how many chunks were pulled and whether it was canceled. */
function piecesOf(pieceBytes: number, count: number) {
  const seen = { pulled: 0, cancelled: false };
  const stream = new ReadableStream(
    {
      pull(controller) {
        if (seen.pulled++ < count) controller.enqueue(new Uint8Array(pieceBytes).fill(32));
        else controller.close();
      },
      cancel() {
        seen.cancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, seen };
}

describe('the size', () => {
  test('may be the limit, declared or not', async () => {
    const text = `"${'x'.repeat(LIMIT - 2)}"`;
    expect(await send(text, declared(LIMIT))).toBe(text);
    expect(await send(text)).toBe(text);
  });

  test('is rejected by its Content-Length, before anything is read', () => {
    const { stream, seen } = piecesOf(16, 1000);
    const init = { method: 'POST', headers: declared(LIMIT + 1), body: stream };
    const { request, exchange } = exchangeOf(init, { bodyLimitBytes: LIMIT });
    expect(() => limit(() => new Response())(request, exchange)).toThrow('over 64 bytes');
    expect(seen.pulled).toBe(0);
  });

  test('is refused without room for it: before anything is read if declared, else before it is parsed', async () => {
    const { stream, seen } = piecesOf(16, 1000);
    const init = { method: 'POST', headers: declared(RESERVED), body: stream };
    const { request, exchange } = exchangeOf(init, { bodyLimitBytes: LIMIT });
    expect(() => limit(() => new Response())(request, exchange)).toThrow('no room');
    expect(seen.pulled).toBe(0);
    await expect(send(`"${'x'.repeat(RESERVED - 2)}"`)).rejects.toThrow('no room');
  });

  test('is rejected at the limit without a Content-Length, and the rest is not read', async () => {
    const { stream, seen } = piecesOf(16, 1000);
    await expect(send(stream)).rejects.toThrow('over 64 bytes');
    expect(seen.pulled).toBeLessThan(10);
    expect(seen.cancelled).toBe(true);
  });

  test.each([
    ['too small', '5'],
    ['a negative number', '-5'],
  ])('is rejected if declared as %s', async (_, length) => {
    const { stream } = piecesOf(16, 100);
    await expect(send(stream, { ...JSON_TYPE, 'Content-Length': length })).rejects.toThrow('over 64 bytes');
  });
});

describe('JSON', () => {
  test('is recognized by its content type in any case, and with a suffix', async () => {
    const deep = '[[[[]]]]';
    for (const type of ['application/json', 'Application/JSON', 'application/problem+json; charset=utf-8']) {
      await expect(send(deep, { 'Content-Type': type })).rejects.toThrow('over 3 levels');
    }
    expect(await send(deep, { 'Content-Type': 'text/plain' })).toBe(deep);
  });

  test('may be as deep as the limit', async () => {
    expect(await send('[[[]]]')).toBe('[[[]]]');
  });

  test('must be UTF-8', async () => {
    await expect(send(new Uint8Array([34, 0xff, 34]))).rejects.toThrow('not UTF-8');
    // An unpaired surrogate in UTF-8 (CESU), and an overlong slash.
    await expect(send(new Uint8Array([34, 0xed, 0xa0, 0x80, 34]))).rejects.toThrow('not UTF-8');
    await expect(send(new Uint8Array([34, 0xc0, 0xaf, 34]))).rejects.toThrow('not UTF-8');
  });

  test('must not begin with a byte order mark', async () => {
    await expect(send('\uFEFF{}')).rejects.toThrow('not UTF-8');
  });
});

test('a body to no route is not read, whatever it is', async () => {
  const { stream, seen } = piecesOf(16, 1000);
  const init = { method: 'POST', headers: JSON_TYPE, body: stream };
  const { request, exchange } = exchangeOf(init, { pattern: UNMATCHED, bodyLimitBytes: LIMIT });
  const response = now(limit(() => new Response(null, { status: 404 }))(request, exchange));
  expect(response.status).toBe(404);
  expect({ pulled: seen.pulled, body: exchange.bufferedBody }).toEqual({ pulled: 0, body: null });
});

test('other bodies pass unchanged', async () => {
  const bytes = Uint8Array.from({ length: LIMIT }, (_, i) => 255 - i);
  const headers = { 'Content-Type': 'application/octet-stream' };
  const init = { method: 'PUT', headers, body: bytes };
  const { request, exchange } = exchangeOf(init, { bodyLimitBytes: LIMIT });
  await limit(() => new Response())(request, exchange);
  expect(exchange.bufferedBody).toEqual(bytes);
});

describe('the layer', () => {
  test.each(['GET', 'HEAD'])('passes %s synchronously, without reading a body', (method) => {
    const { request, exchange } = exchangeOf({ method, headers: { 'Content-Length': '999' } });
    const response = new Response('ok');
    expect(now(limit(() => response)(request, exchange))).toBe(response);
  });

  test.each([
    ['declares none', { 'Content-Length': '0' }],
    ['has none', {}],
  ])('synchronously passes a request that %s', (_, headers: Record<string, string>) => {
    const { request, exchange } = exchangeOf({ method: 'POST', headers });
    const pending = limit(() => new Response('ok'))(request, exchange);
    expect(now(pending).status).toBe(200);
    expect(exchange.bufferedBody).toBeNull();
  });

  test('passes the request itself on, and no copy', async () => {
    const { request, exchange } = exchangeOf({ method: 'PATCH', headers: JSON_TYPE, body: '{}' });
    let seen: Request | undefined;
    await limit((inner) => {
      seen = inner;
      return new Response();
    })(request, exchange);
    expect(seen).toBe(request);
  });

  test('passes errors of the handler unchanged', async () => {
    const { request, exchange } = exchangeOf({ method: 'POST', headers: JSON_TYPE, body: '{}' });
    const throwing = limit(() => {
      throw new Error('thrown');
    })(request, exchange);
    await expect(Promise.resolve(throwing)).rejects.toThrow('thrown');
    const again = exchangeOf({ method: 'POST', headers: JSON_TYPE, body: '{}' });
    const rejecting = limit(() => Promise.reject(new Error('rejected')))(again.request, again.exchange);
    await expect(Promise.resolve(rejecting)).rejects.toThrow('rejected');
  });

  test('distinguishes a truncated body from one that is too large', async () => {
    const torn = new ReadableStream({
      start: (controller) => {
        controller.enqueue(new Uint8Array(3));
        controller.error(new Error('connection reset'));
      },
    });
    await expect(send(torn)).rejects.toThrow('broken');
  });

  test('stops waiting for a slow body when the exchange is aborted', async () => {
    const stalled = new ReadableStream({ pull: () => new Promise(() => {}) });
    const { request, exchange } = exchangeOf({ method: 'POST', headers: JSON_TYPE, body: stalled });
    let reached = false;
    const pending = limit(() => {
      reached = true;
      return new Response();
    })(request, exchange);
    const reason = new AbortReason('deadline');
    exchange.abort(reason);
    await expect(Promise.resolve(pending)).rejects.toMatchObject({ message: 'broken', cause: reason });
    expect(reached).toBe(false);
  });
});

describe('a route that streams', () => {
  const streaming = { bodyLimitBytes: LIMIT, streamsBody: true };

  test('gets its body as it arrives, with nothing read before and no idle timeout', async () => {
    const { stream, seen } = piecesOf(16, 4);
    const silences: number[] = [];
    const { request, exchange } = exchangeOf({ method: 'POST', body: stream }, streaming, {
      timeout: (_request, seconds) => silences.push(seconds),
      requestIP: () => null,
    });
    const response = await limit(async (inner) => {
      expect({ same: inner === request, pulled: seen.pulled }).toEqual({ same: true, pulled: 0 });
      let length = 0;
      for await (const piece of exchange.body!) length += piece.byteLength;
      return new Response(String(length));
    })(request, exchange);
    expect({ text: await response.text(), silences }).toEqual({ text: '64', silences: [0] });
  });

  test('rejects a body by its Content-Length before reading any of it', () => {
    const { stream, seen } = piecesOf(16, 4);
    const init = { method: 'POST', headers: declared(LIMIT + 1), body: stream };
    const { request, exchange } = exchangeOf(init, streaming);
    expect(() => limit(() => new Response())(request, exchange)).toThrow('over 64 bytes');
    expect({ pulled: seen.pulled, body: exchange.body }).toEqual({ pulled: 0, body: null });
  });

  test('has no body if none was sent', () => {
    const { request, exchange } = exchangeOf({ method: 'POST' }, streaming);
    expect(now(limit(() => new Response())(request, exchange)).status).toBe(200);
    expect(exchange.body).toBeNull();
  });
});

describe('a body in chunks', () => {
  const CHUNKED = { ...JSON_TYPE, 'Transfer-Encoding': 'chunked' };
  /** Starts a request whose body ends when the test says so, and counts what reaches the handler. */
  function start(method: string, route: Parameters<typeof exchangeOf>[1] = {}) {
    let finish = () => {};
    const body = new ReadableStream({
      start: (controller) => {
        finish = () => {
          controller.enqueue(new TextEncoder().encode('{}'));
          controller.close();
        };
      },
    });
    const init = method === 'GET' ? {} : { body };
    const { request, exchange } = exchangeOf(
      { method, headers: CHUNKED, ...init },
      { bodyLimitBytes: LIMIT, ...route },
    );
    let handled = 0;
    const handler = async () => {
      handled++;
      if (exchange.body === null) return new Promise<Response>(() => {});
      for await (const _ of exchange.body) handled++;
      return new Response();
    };
    return { exchange, finish, handled: () => handled, respond: () => limit(handler)(request, exchange) };
  }

  test('that load shedding ends is refused, and the request does nothing even if it arrives then', async () => {
    const { exchange, finish, handled, respond } = start('POST');
    const response = respond();
    exchange.chunks!.onEnded!(new Error('ended'));
    finish();
    await expect(response).rejects.toThrow('ended');
    await Bun.sleep(0);
    expect(handled()).toBe(0);
  });

  test('that is streamed ends for its reader, too', async () => {
    const { exchange, finish, handled, respond } = start('POST', { streamsBody: true });
    const response = respond();
    await Bun.sleep(0);
    exchange.chunks!.onEnded!(new Error('ended'));
    finish();
    await expect(response).rejects.toThrow('ended');
    await Bun.sleep(0);
    expect(handled()).toBe(1);
  });

  test('that nothing reads ends the request that waits for its response', async () => {
    const { exchange, respond } = start('GET');
    const response = respond();
    exchange.chunks!.onEnded!(new Error('ended'));
    await expect(response).rejects.toThrow('ended');
  });

  test.each(['GET', 'POST'])('is refused before anything is done where %s must not have one', (method) => {
    const { respond, handled } = start(method, { pattern: WASTEFUL });
    expect(respond).toThrow('wasteful');
    expect(handled()).toBe(0);
  });
});
