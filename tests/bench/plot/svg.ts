type Attributes = Readonly<Record<string, string | number>>;

/** Returns an SVG element. Numbers are rounded to a tenth of a pixel. */
export function element(name: string, attributes: Attributes, content = ''): string {
  const written = Object.entries(attributes)
    .map(([key, value]) => ` ${key}="${escapeXml(typeof value === 'number' ? round(value) : value)}"`)
    .join('');
  return content === '' ? `<${name}${written}/>` : `<${name}${written}>${content}</${name}>`;
}

/** Returns a line of text. */
export function text(x: number, y: number, words: string, attributes: Attributes = {}): string {
  return element('text', { x, y, ...attributes }, escapeXml(words));
}

/** Returns a path through the points, with gaps at missing values. */
export function linePath(points: readonly (readonly [number, number])[]): string {
  let isDown = false;
  return points
    .map(([x, y]) => {
      const exists = Number.isFinite(x) && Number.isFinite(y);
      const step = exists ? `${isDown ? 'L' : 'M'}${round(x)} ${round(y)}` : '';
      isDown = exists;
      return step;
    })
    .join('');
}

function round(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function escapeXml(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
