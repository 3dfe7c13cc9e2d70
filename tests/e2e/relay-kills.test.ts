import { describe, expect, test } from 'bun:test';
import { availableEngines } from '../support/database.ts';
import { isKafkaHere } from '../support/kafka.ts';
import { runChaos, VICTIMS } from './relay-chaos.ts';
import { NO_LOSSES } from './relay-losses.ts';

const TIMEOUT_MS = 240_000;

describe.if(isKafkaHere())('events under kill -9', () => {
  test(
    'of relay, API and broker in turn: none is lost or out of order, and no effect is duplicated',
    async () => {
      const engine = availableEngines().at(-1)!;
      const result = await runChaos({ kills: VICTIMS.length, callers: 4, engine, report: () => {} });
      expect(result).toMatchObject({ ...NO_LOSSES, discrepancies: 0 });
      // Otherwise nothing was in flight at the kills, and the test would prove little.
      expect(result.kills.map(({ victim }) => victim)).toEqual([...VICTIMS]);
      expect(result.transfers).toBeGreaterThan(150);
      expect(result.cutOff).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );
});
