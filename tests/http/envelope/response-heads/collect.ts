import { WORTHWHILE_BYTES } from '../../../../src/utils/content-encoding.ts';
import { type FilesApp, startFilesApp } from '../../../support/file-steps.ts';
import { newKey, openAccount } from '../../../support/ledger-steps.ts';
import { lockTable } from '../../../support/table-lock.ts';
import { callWithoutKey, startTestApp, type TestApp } from '../../../support/test-app.ts';
import { until } from '../../../support/until.ts';

/** The head that some responses have in common. What differs from run to run is replaced by its kind. */
export interface Head {
  readonly status: number;
  readonly fields: Readonly<Record<string, string>>;
  /** Names of the responses. */
  readonly of: string[];
}

const ORIGIN = 'https://app.example.com';
const ID = '0198c0de-0000-7000-8000-000000000001';
const REQUEST_ID = 'head-of-this-request';
const PNG = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex');

const pathOf = (pattern: string) =>
  pattern
    .replace('/docs/assets/{name}', '/docs/assets/swagger-start.js')
    .replace('/problems/{code}', '/problems/internal')
    .replace('/quotas/{kind}', '/quotas/organization')
    .replaceAll(/\{\w+\}/g, ID);

function headOf({ status, headers }: Response): Pick<Head, 'status' | 'fields'> {
  const fields = [...headers]
    .map(([name, value]) => [name, value.replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'UUID')])
    .map(
      ([name, value]) => [name!, ['retry-after', 'ratelimit'].includes(name!) ? 'SECONDS' : value!] as const,
    )
    .map(([name, value]) => [name, value.replace(/cursor=\w+/, 'cursor=CURSOR')] as const)
    // Documents change with the API.
    .map(([name, value]) => [name, value.replace(/^"[\w-]{43}"$/, '"SHA-256"')] as const)
    .map(([name, value]) => [name, /^\W?[\w.]{12}-[0-9a-z]+$/.test(value) ? 'MADE' : value] as const);
  return { status, fields: Object.fromEntries(fields.toSorted(([a], [b]) => (a < b ? -1 : 1))) };
}

/** Sends one request to every route in every way of failing or succeeding, and returns the heads of the responses. */
export async function collectHeads(): Promise<Head[]> {
  const atlas = retrying(
    await startFilesApp('directory', { CORS_ALLOWED_ORIGINS: ORIGIN, WEBHOOKS_ALLOWED_HOSTS: '127.0.0.1' }),
  );
  // As a worker does before it serves.
  for (const path of ['/openapi.json', '/asyncapi.json']) await callWithoutKey(atlas, 'GET', path);
  const heads = new Map<string, Head>();
  const put = async (name: string, response: Response | Promise<Response>) => {
    const settled = await response;
    const head = headOf(settled);
    const alike = heads.get(JSON.stringify(head));
    if (alike === undefined) heads.set(JSON.stringify(head), { ...head, of: [name] });
    else alike.of.push(name);
    await settled.body?.cancel();
  };
  await walk(atlas, put);
  await succeed(atlas, put);
  await download(atlas, put);
  await fail(atlas, put);
  await atlas.close();
  await refuse(put);
  await produce(put);
  return [...heads.values()];
}

/** Atlas on time: what it refuses, or does not compress, while the loop is late for a busy machine, is tried again. */
function retrying(atlas: FilesApp): FilesApp {
  const retry = (send: () => Promise<Response>, isCompressed = false) =>
    until(async () => {
      const response = await send();
      const isLate = response.status === 429 || (isCompressed && (await isLeftUncompressed(response)));
      return !isLate && response;
    });
  return {
    ...atlas,
    call: (method, path, options) =>
      retry(() => atlas.call(method, path, options), 'Accept-Encoding' in (options?.headers ?? {})),
    fetch: (request) => retry(async () => atlas.fetch(request.clone())),
  };
}

async function isLeftUncompressed(response: Response): Promise<boolean> {
  const { headers } = response;
  if (!headers.get('vary')?.includes('Accept-Encoding') || headers.has('content-encoding')) return false;
  return (await response.clone().arrayBuffer()).byteLength >= WORTHWHILE_BYTES;
}

type Put = (name: string, response: Response | Promise<Response>) => Promise<void>;

/** Every route: without a key, with a key and no input, from a page, and by HEAD. */
async function walk(atlas: TestApp, put: Put): Promise<void> {
  const seen = { 'X-Request-ID': REQUEST_ID };
  for (const { method, pattern } of atlas.routes) {
    const path = pathOf(pattern);
    await put(`${method} ${pattern}, no key`, callWithoutKey(atlas, method, path, seen));
    await put(`${method} ${pattern}`, atlas.call(method, path));
    const headers = { Origin: ORIGIN, 'Accept-Encoding': 'gzip', ...seen };
    await put(`${method} ${pattern}, from a page`, atlas.call(method, path, { headers }));
    await put(`${method} ${pattern}, malformed`, atlas.call(method, path, { body: '{', headers: JSON_TYPE }));
    if (method === 'GET') await put(`HEAD ${pattern}`, atlas.call('HEAD', path, { headers: seen }));
  }
}

const JSON_TYPE = { 'Content-Type': 'application/json', 'Idempotency-Key': 'walk' };

async function succeed(atlas: TestApp, put: Put): Promise<void> {
  const account = { ledger: 'EUR', allowNegative: true, metadata: { note: 'x'.repeat(400) } };
  await put('account opened', atlas.call('POST', '/v1/accounts', { json: account }));
  const [debit, credit] = [await openAccount(atlas, account), await openAccount(atlas, account)];
  await openAccount(atlas, account);
  await put('account', atlas.call('GET', `/v1/accounts/${debit.id}`));
  await put('account by HEAD', atlas.call('HEAD', `/v1/accounts/${debit.id}`));
  await put('page with a next', atlas.call('GET', '/v1/accounts?limit=2'));
  const gzip = { headers: { 'Accept-Encoding': 'gzip', Origin: ORIGIN } };
  await put('page compressed', atlas.call('GET', '/v1/accounts?limit=3', gzip));
  const json = { debitAccountId: debit.id, creditAccountId: credit.id, amount: 5 };
  const headers = { 'Idempotency-Key': newKey() };
  await put('transfer posted', atlas.call('POST', '/v1/transfers', { json, headers }));
  await put('transfer replayed', atlas.call('POST', '/v1/transfers', { json, headers }));
  const other = { json: { ...json, amount: 6 }, headers };
  await put('key reused', atlas.call('POST', '/v1/transfers', other));
  const batch = { json: { transfers: [json] }, headers: { 'Idempotency-Key': newKey() } };
  await put('batch posted', atlas.call('POST', '/v1/transfers/batch', batch));
  await put('batch replayed', atlas.call('POST', '/v1/transfers/batch', batch));
  const hook = { json: { url: 'http://127.0.0.1:9/hook' } };
  const created = await atlas.call('POST', '/v1/webhooks', hook);
  const text = await created.clone().text();
  await put('webhook created', created);
  const { id } = JSON.parse(text) as { id: string };
  const path = `/v1/webhooks/${id}`;
  await put('webhook', atlas.call('GET', path));
  const change = { json: { enabled: false }, headers: { 'If-Match': '"1"' } };
  await put('webhook changed', atlas.call('PATCH', path, change));
  await put('webhook changed twice', atlas.call('PATCH', path, change));
  await put('webhook deleted', atlas.call('DELETE', path));
  await put('event stream', atlas.call('GET', '/v1/events/stream'));
}

async function download(atlas: FilesApp, put: Put): Promise<void> {
  const headers = { 'Content-Type': 'image/png' };
  const stored = await atlas.call('POST', '/v1/files?name=a.png', { body: PNG, headers });
  const text = await stored.clone().text();
  await put('file stored', stored);
  const { id } = JSON.parse(text) as { id: string };
  const path = `/v1/files/${id}`;
  const file = await atlas.call('GET', path);
  const known = { headers: { 'If-None-Match': file.headers.get('etag')! } };
  await put('file', file);
  await put('file not modified', atlas.call('GET', path, known));
  await put('content', atlas.call('GET', `${path}/content`));
  await put('content by HEAD', atlas.call('HEAD', `${path}/content`));
  await put('range', atlas.call('GET', `${path}/content`, { headers: { Range: 'bytes=0-3' } }));
  const beyond = { headers: { Range: 'bytes=99-' } };
  await put('range not satisfiable', atlas.call('GET', `${path}/content`, beyond));
  const any = { headers: { 'If-None-Match': '*' } };
  await put('content not modified', atlas.call('GET', `${path}/content`, any));
  await put('link', atlas.call('POST', `${path}/link`));
  const json = { name: 'b.png', mediaType: 'image/png', sizeBytes: 16, sha256: '0'.repeat(64) };
  await put('upload initiated', atlas.call('POST', '/v1/files/uploads', { json }));
  await put('file deleted', atlas.call('DELETE', path));
}

async function fail(atlas: TestApp, put: Put): Promise<void> {
  const asked = { Origin: ORIGIN, 'Access-Control-Request-Method': 'POST' };
  await put('preflight', callWithoutKey(atlas, 'OPTIONS', '/v1/transfers', asked));
  const evil = { ...asked, Origin: 'https://evil.example.com' };
  await put('preflight of another origin', callWithoutKey(atlas, 'OPTIONS', '/v1/transfers', evil));
  await put('unknown path', atlas.call('GET', '/nothing'));
  await put('unknown path by HEAD', atlas.call('HEAD', '/nothing'));
  await put('other method', atlas.call('DELETE', '/v1/accounts'));
  await put('concrete path over template', atlas.call('GET', '/v1/transfers/batch'));
  await put('invalid host', callWithoutKey(atlas, 'GET', '/health', { Host: 'a/b' }));
  await put('invalid key', callWithoutKey(atlas, 'GET', '/v1/ping', { Authorization: 'Bearer none' }));
  const narrow = { Authorization: `Bearer ${await atlas.key(['events:read'])}` };
  await put('narrow key', atlas.call('GET', '/v1/ping', { headers: narrow }));
  const post = (body: BodyInit, type = 'application/json') =>
    atlas.call('POST', '/v1/accounts', { body, headers: { 'Content-Type': type } });
  await put('body too large', post('x'.repeat(2_000_000)));
  await put('body too deep', post('['.repeat(40)));
  await put('body not UTF-8', post(Buffer.from([34, 255, 34])));
  await put('body of another type', post('a', 'text/plain'));
  await put('body missing', atlas.call('POST', '/v1/accounts'));
  await put('body invalid', post('{"ledger":1}'));
  const lock = await lockTable(atlas.deps.databaseUrl, 'accounts');
  const hurried = { headers: { 'X-Envoy-Expected-Rq-Timeout-Ms': '50', Origin: ORIGIN } };
  await put('deadline exceeded', atlas.call('GET', '/v1/accounts', hurried));
  await lock.release();
  await atlas.sql`ALTER TABLE accounts RENAME COLUMN ledger TO elsewhere`;
  await put('unexpected error', atlas.call('GET', '/v1/accounts'));
  await atlas.sql`ALTER TABLE accounts RENAME COLUMN elsewhere TO ledger`;
}

async function refuse(put: Put): Promise<void> {
  const atlas = await startTestApp({ LOAD_SHEDDING_MAX_CONCURRENT: '1' });
  const lock = await lockTable(atlas.deps.databaseUrl, 'accounts');
  const running = atlas.call('GET', '/v1/accounts');
  await lock.waiters(1);
  await put('GET refused', atlas.call('GET', '/v1/ping'));
  await put('POST refused', atlas.call('POST', '/v1/transfers', { body: '{', headers: JSON_TYPE }));
  await put('upload refused', atlas.call('POST', '/v1/files', { body: PNG }));
  await put('unknown path refused', atlas.call('GET', '/nothing'));
  await lock.release();
  await running;
  await atlas.close();
  const limited = await startTestApp({ QUOTA_KEY_REQUESTS_PER_SECOND: '1' });
  let response: Response;
  do response = await limited.call('GET', '/v1/ping');
  while (response.status === 200);
  await put('GET beyond a quota', response);
  await limited.close();
}

async function produce(put: Put): Promise<void> {
  const atlas = await startTestApp({ ENVIRONMENT: 'production' });
  await put('in production', atlas.call('GET', '/v1/ping'));
  await put('in production, a page', atlas.call('GET', '/problems/internal'));
  await put('in production, no key', callWithoutKey(atlas, 'GET', '/v1/ping'));
  await put('in production, unknown path', atlas.call('GET', '/nothing'));
  await atlas.close();
}
