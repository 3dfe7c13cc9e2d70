import { dirname, join, normalize } from 'node:path';
import { exists, textOf } from './source-tree.ts';

const FENCED_CODE = /^```[\s\S]*?^```/gm;
const HEADING = /^#{1,6} (.+)$/gm;
const LINK = /\[([^\]]*)\]\([^)]*\)/g;
const LINK_TO_ANCHOR = /\]\(([^)\s#]*)#([^)\s]+)\)/g;

/** Returns the anchors that GitHub generates for the headings of a document. A repeated heading gets a number. */
function anchorsOf(text: string): string[] {
  const seen = new Map<string, number>();
  return [...text.replace(FENCED_CODE, '').matchAll(HEADING)].map(([, heading]) => {
    const words = heading!.replace(LINK, '$1').trim().toLowerCase();
    const anchor = words.replace(/[^\p{L}\p{N}\p{M}_\- ]/gu, '').replaceAll(' ', '-');
    const repeats = seen.get(anchor) ?? 0;
    seen.set(anchor, repeats + 1);
    return repeats === 0 ? anchor : `${anchor}-${repeats}`;
  });
}

/** Returns the links of a document to headings, its own and those of other documents, that do not exist. */
export function brokenAnchorsOf(document: string): string[] {
  const links = [...textOf(document).matchAll(LINK_TO_ANCHOR)].map(([, path, anchor]) => ({
    path: path!,
    anchor: anchor!,
  }));
  const local = links.filter(({ path }) => !/^[a-z]+:/.test(path));
  const broken = local.filter(({ path, anchor }) => {
    const target = path === '' ? document : normalize(join(dirname(document), path));
    return !exists(target) || !anchorsOf(textOf(target)).includes(anchor);
  });
  return broken.map(({ path, anchor }) => `${path}#${anchor}`);
}
