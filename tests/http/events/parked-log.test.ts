import { expect, test } from 'bun:test';
import { relayAll } from '../../support/event-steps.ts';
import { START_TIMEOUT_MS, startTestApp } from '../../support/test-app.ts';

test(
  'the line that reports a parked key names the key',
  async () => {
    const atlas = await startTestApp();
    const key = crypto.randomUUID();
    for (const sequence of [1, 3])
      await atlas.sql`
        INSERT INTO outbox (owner, type, key, sequence, occurred_at, data)
        VALUES ('owner', 'file.stored.v1', ${key}, ${sequence}, now(), '{}')`;
    await relayAll(atlas);
    const line = atlas.logs.find((text) => text.includes('parked'))!;
    expect(JSON.parse(line)).toMatchObject({
      level: 'error',
      eventKey: key,
      reason: 'event 3 does not follow event 1',
    });
    await atlas.close();
  },
  START_TIMEOUT_MS,
);
