import { AtlasError } from '../errors.ts';
import { pointerStep } from '../utils/json-pointer.ts';
import { isJsonType } from '../utils/json-type.ts';

/**
 * Parses a JSON body that the envelope has read, and bounded in size and depth. Rejects what JSON.parse accepts but
 * PostgreSQL or JavaScript would alter or fail on: NUL, unpaired surrogates, and a member named `__proto__`.
 */
export function readJson(type: string | null, body: string | Uint8Array | null): unknown {
  if (body === null && type === null) throw missing();
  // The envelope decodes every body that may be JSON.
  if (!isJsonType(type) || body instanceof Uint8Array) throw unsupported(type);
  if (body === null || body === '') throw missing();
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new AtlasError('malformed_json', 'The body is not valid JSON.');
  }
  // All three need an escape or this very name, so most bodies need no walk.
  if (body.includes('\\u') || body.includes('__proto__')) refuseUnsafe(value, '');
  return value;
}

function missing(): AtlasError {
  return new AtlasError('body_missing', 'This route requires a JSON body.');
}

function unsupported(type: string | null): AtlasError {
  const sent =
    type === null ? 'the request has no Content-Type' : `the request has Content-Type ${type.slice(0, 100)}`;
  return new AtlasError('unsupported_media_type', `This route accepts application/json in UTF-8; ${sent}.`);
}

function refuseUnsafe(value: unknown, pointer: string): void {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw unsafe(pointer, 'contains an unpaired surrogate');
    if (value.includes('\0')) throw unsafe(pointer, 'contains NUL');
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, member] of Object.entries(value)) {
      if (name === '__proto__') throw unsafe(pointer, 'has a member named __proto__');
      refuseUnsafe(name, pointer);
      refuseUnsafe(member, `${pointer}/${pointerStep(name)}`);
    }
  }
}

function unsafe(pointer: string, detail: string): AtlasError {
  const at = pointer.toWellFormed().replaceAll('\0', '').slice(0, 200);
  return new AtlasError('malformed_json', `The body ${detail}.`, { errors: [{ pointer: at, detail }] });
}
