import { type Axis, place } from './scale.ts';
import { element, linePath, text } from './svg.ts';

/** A line of a panel. The legend lists its name once for all panels. */
export interface Series {
  readonly name: string;
  readonly color: string;
  readonly points: readonly (readonly [number, number])[];
  /** Marks the points. For lines with few of them. */
  readonly marked?: boolean;
  /** Keeps lines visible that overlap with this one. */
  readonly dashed?: boolean;
}

/** A straight reference line with a label at its end. */
export interface Rule {
  readonly axis: 'x' | 'y';
  readonly at: number;
  readonly words: string;
}

export interface Panel {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
  readonly rules?: readonly Rule[];
}

/** Panels in rows, under one title and one legend. */
export interface Chart {
  readonly title: string;
  readonly subtitle: string;
  readonly columns: number;
  readonly panels: readonly Panel[];
  readonly panelHeight?: number;
}

/** Colors that differ in lightness too: distinguishable in print and with color blindness. */
export const COLORS = { blue: '#0b62c4', orange: '#d97706', grey: '#8a94a3' } as const;

const WIDTH = 920;
const MARGIN = 24;
const HEAD = 98;
const GAP = 20;
const INSET = { left: 62, right: 14, top: 30, bottom: 48 } as const;
const PANEL_HEIGHT = 290;
const DASHES = '7 5';
const INK = '#1f2937';
const FAINT = '#5b6675';
const GRID = '#e3e7ec';
const FONT = 'system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif';

/** Draws a chart as SVG. Its own light background keeps it readable on a dark page. */
export function lineChart({ title, subtitle, columns, panels, panelHeight = PANEL_HEIGHT }: Chart): string {
  const rows = Math.ceil(panels.length / columns);
  const height = HEAD + rows * panelHeight + (rows - 1) * GAP + MARGIN / 2;
  const panelWidth = (WIDTH - 2 * MARGIN - (columns - 1) * GAP) / columns;
  const drawn = panels.map((panel, i) => {
    const x = MARGIN + (i % columns) * (panelWidth + GAP);
    const y = HEAD + Math.floor(i / columns) * (panelHeight + GAP);
    return drawPanel(panel, x, y, panelWidth, panelHeight);
  });
  const head = [
    element('rect', {
      x: 0.5,
      y: 0.5,
      width: WIDTH - 1,
      height: height - 1,
      rx: 8,
      fill: '#fff',
      stroke: '#d5dae1',
    }),
    text(MARGIN, 32, title, { 'font-size': 18, 'font-weight': 600, fill: INK }),
    text(MARGIN, 53, subtitle, { 'font-size': 12.5, fill: FAINT }),
    legend(panels),
  ];
  const root = {
    xmlns: 'http://www.w3.org/2000/svg',
    viewBox: `0 0 ${WIDTH} ${height}`,
    width: WIDTH,
    height,
    role: 'img',
    'aria-label': title,
    'font-family': FONT,
  };
  return `${element('svg', root, `\n${[...head, ...drawn].join('\n')}\n`)}\n`;
}

function legend(panels: readonly Panel[]): string {
  const known = new Map(panels.flatMap(({ series }) => series.map((line) => [line.name, line])));
  let x = MARGIN;
  const entries = [...known.values()].map(({ name, color, dashed }) => {
    const stroke = { stroke: color, 'stroke-width': 3, ...(dashed && { 'stroke-dasharray': DASHES }) };
    const entry = [
      element('line', { x1: x, x2: x + 26, y1: 75, y2: 75, ...stroke }),
      text(x + 33, 79, name, { 'font-size': 13, fill: INK }),
    ];
    // Letters of this size are about 7 px wide; there is no way to measure them here.
    x += 33 + name.length * 7 + 20;
    return entry.join('');
  });
  return entries.join('\n');
}

function drawPanel(panel: Panel, left: number, top: number, width: number, height: number): string {
  const area = {
    left: left + INSET.left,
    right: left + width - INSET.right,
    top: top + INSET.top,
    bottom: top + height - INSET.bottom,
  };
  const { x, y } = panel;
  const xOf = (value: number) => area.left + place(x, value) * (area.right - area.left);
  const yOf = (value: number) => area.bottom - place(y, value) * (area.bottom - area.top);
  const middle = (area.left + area.right) / 2;
  const parts = [
    text(area.left, top + 16, panel.title, { 'font-size': 13.5, 'font-weight': 600, fill: INK }),
  ];
  for (const tick of y.ticks) {
    const at = yOf(tick);
    parts.push(element('line', { x1: area.left, x2: area.right, y1: at, y2: at, stroke: GRID }));
    parts.push(
      text(area.left - 8, at + 4, y.write(tick), { 'font-size': 11.5, fill: FAINT, 'text-anchor': 'end' }),
    );
  }
  for (const tick of x.ticks) {
    const at = xOf(tick);
    parts.push(element('line', { x1: at, x2: at, y1: area.bottom, y2: area.bottom + 5, stroke: FAINT }));
    parts.push(
      text(at, area.bottom + 18, x.write(tick), { 'font-size': 11.5, fill: FAINT, 'text-anchor': 'middle' }),
    );
  }
  parts.push(
    element('line', { x1: area.left, x2: area.right, y1: area.bottom, y2: area.bottom, stroke: FAINT }),
  );
  const label = { 'font-size': 12, fill: FAINT, 'text-anchor': 'middle' };
  const side = [left + 11, (area.top + area.bottom) / 2] as const;
  parts.push(text(middle, area.bottom + 37, x.label, label));
  parts.push(text(side[0], side[1], y.label, { ...label, transform: `rotate(-90 ${side.join(' ')})` }));
  for (const rule of panel.rules ?? [])
    parts.push(drawRule(rule, area, rule.axis === 'x' ? xOf(rule.at) : yOf(rule.at)));
  for (const { points, color, marked, dashed } of panel.series) {
    const places = points.map(([px, py]) => [xOf(px), yOf(py)] as const);
    const stroke = { fill: 'none', stroke: color, 'stroke-width': 2.5, 'stroke-linejoin': 'round' };
    const dashes = dashed ? { 'stroke-dasharray': DASHES } : {};
    parts.push(element('path', { d: linePath(places), ...stroke, ...dashes }));
    if (!marked) continue;
    for (const [cx, cy] of places.filter((at) => at.every(Number.isFinite)))
      parts.push(element('circle', { cx, cy, r: 3.5, fill: color, stroke: '#fff', 'stroke-width': 1 }));
  }
  return parts.join('\n');
}

function drawRule(
  { axis, words }: Rule,
  area: { left: number; right: number; top: number; bottom: number },
  at: number,
): string {
  const ends =
    axis === 'x'
      ? { x1: at, x2: at, y1: area.top, y2: area.bottom }
      : { x1: area.left, x2: area.right, y1: at, y2: at };
  const line = element('line', { ...ends, stroke: FAINT, 'stroke-dasharray': '4 4' });
  const label =
    axis === 'x'
      ? text(at + 5, area.top + 10, words, { 'font-size': 11, fill: FAINT })
      : text(area.right, at - 5, words, { 'font-size': 11, fill: FAINT, 'text-anchor': 'end' });
  return line + label;
}
