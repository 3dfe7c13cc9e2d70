import { expect, test } from 'bun:test';
import { Fault } from '../../../../../src/features/ledger/import-runs/fault.ts';
import { readLines } from '../../../../../src/features/ledger/import-runs/read-lines.ts';

const A = '0198c0de-0000-7000-8000-00000000000a';
const B = '0198c0de-0000-7000-8000-00000000000b';
const RULES = { createdAt: '2026-01-01T00:00:00.000Z', hasDocuments: false };

async function linesOf(text: string | Buffer, format: 'csv' | 'ndjson') {
  const bytes = Buffer.from(text);
  const source = {
    sizeBytes: bytes.length,
    read: async (first: number, last: number) => bytes.subarray(first, last + 1),
  };
  const found: unknown[] = [];
  for await (const { lines } of readLines(source, format, { position: 0, line: 1 }, RULES))
    for (const { line, value } of lines)
      found.push(value instanceof Fault ? `line ${line}, ${value.member}: ${value.detail}` : value);
  return found;
}
const HEAD = 'debitAccountId,creditAccountId,amount,reference,metadata.order';
const csv = (...rows: string[]) => [HEAD, ...rows].join('\r\n');
const transfer = (more: object) => ({
  type: 'transfer',
  debitAccountId: A,
  creditAccountId: B,
  amount: 5,
  ...more,
});

test('CSV has a header row; a field may have quotes, line ends and delimiters; an empty one is absent', async () => {
  const text = csv(`${A},${B},5,"a ""b"", c\nd",7`, `${A},${B},5,,`);
  const expected = [transfer({ reference: 'a "b", c\nd', metadata: { order: '7' } }), transfer({})];
  expect(await linesOf(text, 'csv')).toEqual(expected);
  expect(await linesOf(Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(text)]), 'csv')).toEqual(
    expected,
  );
  expect(await linesOf(csv(`${A},${B},5,,`).replaceAll(',', ';'), 'csv')).toEqual([transfer({})]);
});

test('a field that is not valid is reported by its line and column', async () => {
  const rows = [`${A},${B},5,"a\nb",`, `${A},${B},12.50,,`, `${A},,5,,`, `${A},${B},5`, `${A},${B},-1,,`];
  expect((await linesOf(csv(...rows), 'csv')).slice(1)).toEqual([
    'line 4, amount: must be a whole number of minor units',
    'line 5, creditAccountId: is required',
    'line 6, null: The record has 3 fields, and the header row 5.',
    'line 7, amount: must be at least 1',
  ]);
});

test('a record with wrong quotes is reported, and those around it are read', async () => {
  const rows = [`${A},${B},5,,`, `${A},${B},5,a"b",`, `${A},${B},5,,`];
  expect(await linesOf(csv(...rows), 'csv')).toEqual([
    transfer({}),
    'line 3, null: The record is not valid CSV (RFC 4180): check its quotes.',
    transfer({}),
  ]);
});

test.each([
  ['amount', 'debitAccountId: The header row of transfers lacks'],
  [`${HEAD},amount`, 'amount: The header row has this column twice.'],
  [`${HEAD},date`, 'date: A file of transfers has the columns'],
  ['id,ledger,amount', 'amount: A file of accounts has the columns'],
  ['"a', 'null: The header row is not valid CSV'],
])('a header row of %s cannot be used', async (head, fault) => {
  const found = await linesOf(`${head}\n1,2,3`, 'csv');
  expect(found).toHaveLength(1);
  expect(found[0]).toContain(fault);
});

test('NDJSON is reported by its line and member, and what is no UTF-8 or no JSON by its line', async () => {
  const lines = [
    JSON.stringify(transfer({ metadata: { a: 1 } })),
    JSON.stringify({ ...transfer({}), account: A }),
    '{"type":"transfer"',
    '{"type":"payment"}',
    '[]',
    JSON.stringify(transfer({ effectiveAt: '2026-01-02T00:00:00Z' })),
    JSON.stringify({ type: 'document', accountId: A, kind: 'a', content: {} }),
  ].join('\n');
  const text = Buffer.concat([Buffer.from(`${lines}\n`), Buffer.from([0x22, 0xff, 0x22])]);
  expect(await linesOf(text, 'ndjson')).toEqual([
    'line 1, metadata.a: must be a string',
    'line 2, account: is not a member of such a line',
    'line 3, null: The line is not JSON.',
    'line 4, type: must be the type of a line, such as account or transfer',
    expect.stringContaining('line 5, '),
    'line 6, effectiveAt: must not be later than the import',
    'line 7, type: needs an import of a caller with documents:write and document-kinds:write',
    'line 8, null: The line is not UTF-8.',
  ]);
});

test('an amount is a whole number of minor units: nothing is rounded', async () => {
  const amounts = ['9007199254740991', '9007199254740993', '1e3', '0x10', ' 5', '5.0', '00005'];
  const found = await linesOf(csv(...amounts.map((amount) => `${A},${B},"${amount}",,`)), 'csv');
  expect(
    found.map((line) => (typeof line === 'string' ? 'refused' : (line as { amount: number }).amount)),
  ).toEqual([9007199254740991, 'refused', 'refused', 'refused', 'refused', 'refused', 5]);
});
