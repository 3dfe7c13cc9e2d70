import { AtlasError } from '../errors.ts';

const JSON_TYPE = /^application\/json\s*(?:;\s*charset="?utf-8"?\s*)?$/i;

/**
 * Reads a JSON body that the envelope has bounded in size and depth. Refuses what JSON.parse lets through and
 * PostgreSQL or JavaScript would change or trip over: NUL, lone surrogates and a member named `__proto__`.
 */
export async function readJson(request: Request): Promise<unknown> {
  const type = request.headers.get('content-type');
  if (request.body === null) {
    if (type !== null && !JSON_TYPE.test(type)) throw unsupported(type);
    throw new AtlasError('body_missing', 'This route needs a JSON body.');
  }
  if (type === null || !JSON_TYPE.test(type)) throw unsupported(type);
  const text = await request.text();
  if (text === '') throw new AtlasError('body_missing', 'This route needs a JSON body.');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new AtlasError('malformed_json', 'The body cannot be parsed as JSON.');
  }
  // All three can only come from an escape or from this very name, so most bodies need no walk.
  if (text.includes('\\u') || text.includes('__proto__')) refuseUnsafe(value, '');
  return value;
}

function unsupported(type: string | null): AtlasError {
  const sent = type === null ? 'no Content-Type was sent' : `${type.slice(0, 100)} was sent`;
  return new AtlasError('unsupported_media_type', `This route reads application/json in UTF-8; ${sent}.`);
}

function refuseUnsafe(value: unknown, pointer: string): void {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw unsafe(pointer, 'holds half of a surrogate pair');
    if (value.includes('\0')) throw unsafe(pointer, 'holds the character NUL');
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, member] of Object.entries(value)) {
      if (name === '__proto__') throw unsafe(pointer, 'has a member named __proto__');
      refuseUnsafe(name, pointer);
      refuseUnsafe(member, `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`);
    }
  }
}

function unsafe(pointer: string, detail: string): AtlasError {
  const at = pointer.toWellFormed().replaceAll('\0', '').slice(0, 200);
  return new AtlasError('malformed_json', `The body ${detail}.`, { errors: [{ pointer: at, detail }] });
}
