import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import Ajv, { type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';
import { asyncApiDocument } from '../../../src/features/events/log/asyncapi.ts';
import { loggedTypes } from '../../../src/features/events/log/catalogue.ts';
import { EVENT_CATALOGUE } from '../../../src/features.ts';
import { readReleased } from '../../contract/events/event-schemas/released.ts';
import { followEvents, listEvents, relayAll } from '../../support/event-steps.ts';
import { filesOf } from '../../support/source-tree.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

const ajv = new Ajv({ strict: false });
addFormats(ajv);
const payloads = new Map<string, ValidateFunction>();
let atlas: TestApp;

/** What each feature with event types provides: see CONTRIBUTING, "A feature". */
interface EveryEvent {
  triggerEveryEvent(atlas: TestApp): Promise<void>;
}

async function triggerEverything(): Promise<void> {
  for (const path of filesOf('tests/http/*/every-event.ts')) {
    const { triggerEveryEvent }: EveryEvent = await import(`../../../${path}`);
    await triggerEveryEvent(atlas);
  }
  await relayAll(atlas);
}

beforeAll(async () => {
  const document = asyncApiDocument('0.0.0', EVENT_CATALOGUE) as {
    components: { messages: Record<string, { payload: object }> };
  };
  for (const [type, { payload }] of Object.entries(document.components.messages))
    payloads.set(type, ajv.compile(payload));
  atlas = await startTestApp();
  await triggerEverything();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

describe('every event that Atlas writes', () => {
  test('has a type of the catalogue, and every type of the log was written', async () => {
    const { events } = await listEvents(atlas, '?limit=200');
    expect(new Set(events.map(({ type }) => type))).toEqual(new Set(loggedTypes(EVENT_CATALOGUE)));
  });

  test('matches the catalogue without an extra member, its released schema, and the AsyncAPI document', async () => {
    const { events } = await listEvents(atlas, '?limit=200');
    for (const { position: _, ...event } of events) {
      const { type } = event;
      expect(EVENT_CATALOGUE[type]!.data.parse(event.data)).toEqual(event.data as never);
      const fitsReleased = ajv.compile(readReleased(type));
      expect({ type, fits: fitsReleased(event.data), errors: fitsReleased.errors }).toMatchObject({
        fits: true,
      });
      const fits = payloads.get(type)!;
      expect({ type, fits: fits(event), errors: fits.errors }).toMatchObject({ fits: true });
      // The document must reject an event of another type.
      expect(fits({ ...event, type: 'account.merged.v1' })).toBe(false);
    }
  });

  test('is the same in a stream as in a list', async () => {
    const { events } = await listEvents(atlas, '?limit=200');
    const reader = await followEvents(atlas, '?from=beginning');
    const followed = await reader.events(events.length);
    await reader.leave();
    expect(followed).toEqual(events.map(({ position: _, ...event }) => event));
  });
});
