import { expect, test } from 'bun:test';
import { START_TIMEOUT_MS } from '../../../support/test-app.ts';
import { collectHeads, type Head } from './collect.ts';
import recorded from './heads.json';

const heads = recorded as unknown as readonly Head[];

test(
  'every route returns exactly the recorded header fields, however its requests end',
  async () => expect(await collectHeads()).toEqual([...heads]),
  START_TIMEOUT_MS,
);

test('every recorded response has a request ID and forbids sniffing, framing, and scripts', () => {
  for (const { fields, of } of heads) {
    expect({ of, id: fields['x-request-id'], sniff: fields['x-content-type-options'] }).toEqual({
      of,
      id: expect.stringMatching(/^(MADE|head-of-this-request)$/),
      sniff: 'nosniff',
    });
    expect(fields['content-security-policy']).toContain("default-src 'none'");
    expect(fields['content-security-policy']).toContain("frame-ancestors 'none'");
  }
});
