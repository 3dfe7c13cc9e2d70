import { AtlasError } from '../errors.ts';

/**
 * Decodes percent-encoded UTF-8 from a URL. Throws `invalid_request` for anything else: taken literally, or with
 * replacement characters, it would name something that the caller did not mean.
 */
export function percentDecode(text: string, pointer: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    throw new AtlasError('invalid_request', 'The URL is not percent-encoded UTF-8; see `errors`.', {
      errors: [{ pointer, detail: 'must be percent-encoded UTF-8, in which % is %25' }],
    });
  }
}
