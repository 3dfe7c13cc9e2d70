import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { signatureHeaders } from '../../../../../src/features/webhooks/deliveries/signature.ts';
import { formatSecret, generateSecret } from '../../../../../src/features/webhooks/subscriptions/domain.ts';

test('the signature matches the example of Standard Webhooks', () => {
  const headers = signatureHeaders(
    { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', timestampSeconds: 1614265330, body: '{"test": 2432232314}' },
    [Buffer.from('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64')],
  );
  expect(headers).toEqual({
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  });
});

const now = () => Math.floor(Date.now() / 1000);

test('the official library verifies any body with each of the secrets, and with no other', () => {
  fc.assert(
    fc.property(fc.json(), fc.integer({ min: 1, max: 3 }), (body, count) => {
      const secrets = Array.from({ length: count }, generateSecret);
      const headers = signatureHeaders({ id: 'a:1:b', timestampSeconds: now(), body }, secrets);
      for (const secret of secrets)
        expect(new Webhook(formatSecret(secret)).verify(body, headers)).toEqual(JSON.parse(body));
      expect(() => new Webhook(formatSecret(generateSecret())).verify(body, headers)).toThrow();
    }),
    { numRuns: 50 },
  );
});

test('a changed body, id or time fails verification', () => {
  const secret = generateSecret();
  const webhook = new Webhook(formatSecret(secret));
  const message = { id: 'a:1:b', timestampSeconds: now(), body: '{"amount":1}' };
  const headers = signatureHeaders(message, [secret]);
  webhook.verify(message.body, headers);
  expect(() => webhook.verify('{"amount":2}', headers)).toThrow();
  expect(() => webhook.verify(message.body, { ...headers, 'webhook-id': 'a:2:b' })).toThrow();
  const later = { ...headers, 'webhook-timestamp': String(message.timestampSeconds + 1) };
  expect(() => webhook.verify(message.body, later)).toThrow();
});

test('a secret has 256 bits, and no two are the same', () => {
  expect(generateSecret()).toHaveLength(32);
  expect(formatSecret(generateSecret())).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  expect(generateSecret()).not.toEqual(generateSecret());
});
