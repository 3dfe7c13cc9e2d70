import { expect, spyOn } from 'bun:test';
import { lookup } from 'node:dns/promises';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEMO_URL } from '../../../src/utils/demo-data.ts';
import { type Example, readExamples, STREAM, seedDemo } from '../../support/example-requests.ts';
import { startTestApp, type TestApp } from '../../support/test-app.ts';
import { digestOf } from './stored-digest.ts';

/** A response, and the problem in it if it is one. */
interface Sent {
  readonly status: number;
  readonly type: string | null;
  readonly detail: string | null;
  readonly text: string;
  readonly response: Response;
}

/** How a request is refused. */
type Refusal = Pick<Sent, 'status' | 'type' | 'detail'>;

/** An Atlas with the demo data, and the examples of its contract, sent by whomever a test says. */
export interface AccessWorld {
  readonly atlas: TestApp;
  readonly examples: readonly Example[];
  /** Those that need a key or a session. */
  readonly keyed: readonly Example[];
  send(example: Example, token: string | null): Promise<Sent>;
  /** Sends all requests, expects a problem from each, and that nothing has changed afterwards. */
  expectRefused(
    requests: readonly Example[],
    tokenOf: (example: Example) => string | null | Promise<string | null>,
    expected: (example: Example) => Refusal,
  ): Promise<void>;
  close(): Promise<void>;
}

export async function startAccessWorld(): Promise<AccessWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'atlas-access-'));
  const atlas = await startTestApp({ ATLAS_DATA_DIR: folder });
  // Without a name server, the host of the example cannot be checked; nothing is sent to it here.
  await lookup(new URL(DEMO_URL).hostname).catch(() =>
    spyOn(atlas.deps.outgoing, 'check').mockImplementation(async () => {}),
  );
  await seedDemo(atlas);
  const examples = await readExamples(atlas);
  const sendTo: AccessWorld['send'] = (example, token) => send(atlas, example, token);
  return {
    atlas,
    examples,
    keyed: examples.filter(({ scope }) => scope !== null),
    send: sendTo,
    async expectRefused(requests, tokenOf, expected) {
      expect(requests.length).toBeGreaterThan(5);
      const tokens = await Promise.all(requests.map(tokenOf));
      const before = await digestOf(atlas);
      for (const [i, example] of requests.entries()) {
        const { status, type, detail } = await sendTo(example, tokens[i]!);
        const { operationId } = example;
        expect({ operationId, status, type, detail }).toEqual({ operationId, ...expected(example) });
      }
      expect(await digestOf(atlas)).toEqual(before);
    },
    async close() {
      await atlas.close();
      await rm(folder, { recursive: true });
    },
  };
}

/** The headers with an Idempotency-Key of this request alone. */
const ownKey = (headers: Example['headers']) =>
  headers['Idempotency-Key'] === undefined ? headers : { ...headers, 'Idempotency-Key': Bun.randomUUIDv7() };

async function send(
  atlas: TestApp,
  { operationId, method, path, headers, body }: Example,
  token: string | null,
): Promise<Sent> {
  const response = await atlas.fetch(
    new Request(`http://atlas.test${path}`, {
      method,
      headers: {
        Host: 'atlas.test',
        ...ownKey(headers),
        ...(token !== null && { Authorization: `Bearer ${token}` }),
      },
      ...(body !== undefined && { body }),
    }),
  );
  const isEndless = operationId === STREAM && response.ok;
  if (isEndless) await response.body!.cancel();
  const text = isEndless ? '' : await response.text();
  const isProblem = response.headers.get('content-type')?.startsWith('application/problem+json');
  const problem = isProblem ? (JSON.parse(text) as { type: string; detail: string }) : null;
  return {
    status: response.status,
    type: problem?.type ?? null,
    detail: problem?.detail ?? null,
    text,
    response,
  };
}
