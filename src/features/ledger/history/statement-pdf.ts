import { fileURLToPath } from 'node:url';
import PDFDocument from 'pdfkit';
import type { Entry, StatementHead } from './domain.ts';
import { formatAmount } from './format-amount.ts';

const fileOf = (file: string) => fileURLToPath(import.meta.resolve(`dejavu-fonts-ttf/ttf/${file}`));
// Every reader has Helvetica, which has Latin letters and costs a tenth. DejaVu has Greek, Cyrillic, Hebrew, Armenian,
// Georgian, and more, but no Chinese, Japanese, or Korean: they are shown as boxes.
const LATIN = /^[\x20-\x7e\xa0-\xff]*$/;
const FONTS = {
  regular: { latin: 'Helvetica', other: 'DejaVu' },
  bold: { latin: 'Helvetica-Bold', other: 'DejaVu-Bold' },
} as const;
type Weight = keyof typeof FONTS;
const fontFor = (text: string, weight: Weight) => FONTS[weight][LATIN.test(text) ? 'latin' : 'other'];
const MARGIN = 40;
const WIDTH = 595.28 - 2 * MARGIN;
const BOTTOM = 841.89 - 56;
// Left edges of date and text, right edges of amount and balance.
const DATE_X = MARGIN;
const TEXT_X = MARGIN + 96;
const TEXT_WIDTH = 196;
const AMOUNT_X = MARGIN + 408;
const BALANCE_X = MARGIN + WIDTH;
const SIZE = 7.5;
const SMALL = 6;
const LINE = 9.5;
const SMALL_LINE = 8;
const INK = '#1a1a1a';
const GRAY = '#6b6b6b';
const RULE = '#d0d0d0';
// biome-ignore lint/suspicious/noControlCharactersInRegex: they have no glyphs.
const CONTROL = /[\u0000-\u001f\u007f\p{Bidi_Control}]+/gu;
const NAME_LENGTH_MAX = 80;

type Document = InstanceType<typeof PDFDocument>;

/** Renders a statement as PDF: A4, with a header and page numbers. It takes seconds of a core for 10,000 entries. */
export async function statementPdf(head: StatementHead, entries: readonly Entry[]): Promise<Uint8Array> {
  const document = new PDFDocument({
    size: 'A4',
    margin: 0,
    bufferPages: true,
    autoFirstPage: false,
    info: { Title: `Statement of account ${head.accountId}`, Creator: 'Atlas', Producer: 'Atlas' },
  });
  document.registerFont(FONTS.regular.other, fileOf('DejaVuSans.ttf'));
  document.registerFont(FONTS.bold.other, fileOf('DejaVuSans-Bold.ttf'));
  const chunks: Uint8Array[] = [];
  document.on('data', (chunk: Uint8Array) => chunks.push(chunk));
  const { promise: done, resolve, reject } = Promise.withResolvers<void>();
  document.on('end', resolve);
  document.on('error', reject);
  new StatementPages(document, head).write(entries);
  document.end();
  await done;
  return new Uint8Array(Buffer.concat(chunks));
}

/** Writes the pages of a statement, from top to bottom. */
class StatementPages {
  readonly #document: Document;
  readonly #head: StatementHead;
  #y = 0;

  constructor(document: Document, head: StatementHead) {
    this.#document = document;
    this.#head = head;
  }

  write(entries: readonly Entry[]): void {
    const { openingBalance, closingBalance, fromMs, toMs } = this.#head;
    this.#document.addPage();
    this.#title();
    this.#summary(entries);
    this.#columns();
    this.#total('Opening balance', fromMs, openingBalance);
    for (const entry of entries) this.#entry(entry);
    this.#total('Closing balance', toMs, closingBalance);
    this.#footers();
  }

  #title(): void {
    const { accountId, name, ledger, by, fromMs, toMs } = this.#head;
    this.#text('Account statement', DATE_X, MARGIN, { weight: 'bold', size: 16 });
    this.#y = MARGIN + 28;
    const shown = [...printable(name ?? '')].slice(0, NAME_LENGTH_MAX).join('');
    const lines = [
      ...(shown === '' ? [] : [['Name', shown]]),
      ['Account', accountId],
      ['Currency', ledger],
      [
        'Period',
        `${fromMs === null ? 'first entry' : momentOf(fromMs)} to ${momentOf(toMs)} (UTC, not included)`,
      ],
      ['Entries by', by === 'recorded' ? 'when they were recorded' : 'when they took effect'],
    ] as const;
    for (const [label, value] of lines) {
      this.#text(label!, DATE_X, this.#y, { size: 8, color: GRAY });
      this.#text(value!, TEXT_X, this.#y, { size: 8 });
      this.#y += 13;
    }
    this.#y += 6;
  }

  #summary(entries: readonly Entry[]): void {
    const { ledger, openingBalance, closingBalance } = this.#head;
    // Sums of safe integers may be larger than one.
    let [credits, debits] = [0n, 0n];
    for (const { net } of entries) {
      if (net > 0) credits += BigInt(net);
      else debits -= BigInt(net);
    }
    const boxes = [
      ['Opening balance', formatAmount(openingBalance, ledger)],
      ['Credits', formatAmount(Number(credits), ledger)],
      ['Debits', formatAmount(Number(debits), ledger)],
      ['Closing balance', formatAmount(closingBalance, ledger)],
    ] as const;
    const width = (WIDTH + 6) / boxes.length;
    boxes.forEach(([label, value], i) => {
      const x = MARGIN + i * width;
      this.#document.rect(x, this.#y, width - 6, 32).fill('#f4f4f4');
      this.#text(label, x + 8, this.#y + 6, { size: SMALL, color: GRAY });
      this.#text(value, x + 8, this.#y + 16, { weight: 'bold', size: 8.5 });
    });
    this.#y += 46;
  }

  #columns(): void {
    const { by } = this.#head;
    const style = { weight: 'bold', size: SMALL, color: GRAY } as const;
    this.#text(by === 'recorded' ? 'Recorded (UTC)' : 'Effective (UTC)', DATE_X, this.#y, style);
    this.#text('Entry', TEXT_X, this.#y, style);
    this.#text('Amount', AMOUNT_X, this.#y, { ...style, isRight: true });
    this.#text('Balance', BALANCE_X, this.#y, { ...style, isRight: true });
    this.#y += 11;
    this.#rule();
  }

  #entry(entry: Entry): void {
    const { by, ledger } = this.#head;
    const { reference, net, balance, version, transferId, createdAt, effectiveAt } = entry;
    const lines = this.#wrap(printable(reference ?? (net < 0 ? 'Debit' : 'Credit')));
    const other = by === 'recorded' ? `effective ${timeOf(effectiveAt)}` : `recorded ${timeOf(createdAt)}`;
    const notes = [`No. ${version} · ${transferId}`, ...(createdAt === effectiveAt ? [] : [other])];
    const height = lines.length * LINE + notes.length * SMALL_LINE + 5;
    this.#makeRoom(height);
    const top = this.#y;
    this.#text(timeOf(by === 'recorded' ? createdAt : effectiveAt), DATE_X, top);
    this.#text(formatAmount(net, ledger), AMOUNT_X, top, { isRight: true });
    this.#text(formatAmount(balance, ledger), BALANCE_X, top, { isRight: true });
    lines.forEach((line, i) => {
      this.#text(line, TEXT_X, top + i * LINE);
    });
    notes.forEach((note, i) => {
      this.#text(note, TEXT_X, top + lines.length * LINE + i * SMALL_LINE, { size: SMALL, color: GRAY });
    });
    this.#y = top + height - 2;
    this.#rule();
  }

  #total(label: string, ms: number | null, balance: number): void {
    this.#makeRoom(18);
    if (ms !== null) this.#text(momentOf(ms), DATE_X, this.#y, { weight: 'bold' });
    this.#text(label, TEXT_X, this.#y, { weight: 'bold' });
    this.#text(formatAmount(balance, this.#head.ledger), BALANCE_X, this.#y, {
      weight: 'bold',
      isRight: true,
    });
    this.#y += 13;
    this.#rule();
  }

  #makeRoom(height: number): void {
    if (this.#y + height <= BOTTOM) return;
    this.#document.addPage();
    const { accountId, ledger } = this.#head;
    this.#text(`Statement of account ${accountId} · ${ledger}`, DATE_X, MARGIN - 10, {
      size: SMALL,
      color: GRAY,
    });
    this.#y = MARGIN + 8;
    this.#columns();
  }

  #footers(): void {
    const { start, count } = this.#document.bufferedPageRange();
    for (let i = 0; i < count; i++) {
      this.#document.switchToPage(start + i);
      const y = BOTTOM + 18;
      this.#text(
        `Amounts in ${this.#head.ledger}. Times in UTC. Up to entry ${this.#head.lastVersion}.`,
        DATE_X,
        y,
        {
          size: SMALL,
          color: GRAY,
        },
      );
      this.#text(`Page ${i + 1} of ${count}`, BALANCE_X, y, { size: SMALL, color: GRAY, isRight: true });
    }
  }

  #rule(): void {
    this.#document
      .moveTo(MARGIN, this.#y)
      .lineTo(MARGIN + WIDTH, this.#y)
      .lineWidth(0.4)
      .stroke(RULE);
    this.#y += 4;
  }

  /** Breaks text into lines: between words, and within one that is too long. */
  #wrap(text: string): string[] {
    this.#document.font(fontFor(text, 'regular')).fontSize(SIZE);
    const lines: string[] = [];
    let line = '';
    for (const word of text.split(' ')) {
      const longer = line === '' ? word : `${line} ${word}`;
      if (this.#document.widthOfString(longer) <= TEXT_WIDTH) {
        line = longer;
        continue;
      }
      if (line !== '') lines.push(line);
      line = '';
      for (const character of word) {
        if (line !== '' && this.#document.widthOfString(line + character) > TEXT_WIDTH) {
          lines.push(line);
          line = '';
        }
        line += character;
      }
    }
    return [...lines, line];
  }

  /** Writes one line. `x` is its right end if it is right-aligned. */
  #text(
    text: string,
    x: number,
    y: number,
    {
      weight = 'regular',
      size = SIZE,
      color = INK,
      isRight = false,
    }: {
      readonly weight?: Weight;
      readonly size?: number;
      readonly color?: string;
      readonly isRight?: boolean;
    } = {},
  ): void {
    const document = this.#document.font(fontFor(text, weight)).fontSize(size).fillColor(color);
    // The fonts differ in their ascent, so lines are placed by their baseline.
    const left = isRight ? x - document.widthOfString(text) : x;
    document.text(text, left, y + size, { lineBreak: false, baseline: 'alphabetic' });
  }
}

function printable(text: string): string {
  return text.replace(CONTROL, ' ').trim();
}

/** To the second: a statement is read by people. */
function timeOf(time: string): string {
  return `${time.slice(0, 10)} ${time.slice(11, 19)}`;
}

function momentOf(ms: number): string {
  return timeOf(new Date(ms).toISOString());
}
