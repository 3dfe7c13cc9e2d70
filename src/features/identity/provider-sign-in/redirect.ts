/** What a path of this site looks like. */
export const OWN_PATH = /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/;

const BASE = 'https://atlas.invalid';

/**
 * Whether it is a path of this site, so that a link to the sign-in leads nowhere else afterwards. Browsers read `\` as
 * `/`, drop tabs and line breaks, and read `//host` as another site.
 */
export function isOwnPath(text: string): boolean {
  return OWN_PATH.test(text) && URL.canParse(text, BASE) && new URL(text, BASE).origin === BASE;
}
