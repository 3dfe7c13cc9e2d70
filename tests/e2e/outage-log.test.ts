import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { START_TIMEOUT_MS } from '../support/test-app.ts';
import { until } from '../support/until.ts';
import { areServicesHere, type FaultyAtlas, startFaultyAtlas, statusOf } from './faulty-atlas.ts';

const TIMEOUT_MS = 120_000;
const SUMMARIES = 2;

interface Line {
  readonly level: string;
  readonly msg: string;
  readonly worker?: number;
  readonly err?: object;
}

describe.if(areServicesHere({}))('without any requests, the log of an outage', () => {
  let faulty: FaultyAtlas;
  beforeAll(async () => {
    faulty = await startFaultyAtlas({}, { LOG_FORMAT: 'json', ENVIRONMENT: 'staging', API_WORKERS: '1' });
  }, START_TIMEOUT_MS);
  afterAll(() => faulty?.stop(), START_TIMEOUT_MS);

  /** Returns the lines logged until the outage was summarized a few times. */
  async function linesOf(outage: string, begin: () => Promise<unknown>): Promise<Line[]> {
    const from = faulty.atlas.output().length;
    const read = () =>
      faulty.atlas
        .output()
        .slice(from)
        .split('\n')
        .flatMap((line) =>
          line.startsWith('{"level"') && line.endsWith('}') ? (JSON.parse(line) as Line) : [],
        );
    await begin();
    await until(() => read().filter(({ msg }) => msg === `still: ${outage}`).length >= SUMMARIES, {
      deadlineMs: 60_000,
      what: `${outage} was summarized`,
    });
    return read();
  }

  const warningsOf = (lines: readonly Line[]) =>
    lines.filter(({ level }) => level === 'warn' || level === 'error').map(({ msg }) => msg);

  test(
    'of PostgreSQL is one line and its summaries, with no stack for each loop and job',
    async () => {
      const outage = 'PostgreSQL cannot be reached.';
      const lines = await linesOf(outage, () => faulty.toPostgres.disable());
      const others = warningsOf(lines).filter((msg) => !msg.endsWith(outage));
      expect(others).toEqual(['events are not being sent; they stay in the outbox and will be retried']);
      expect(lines.filter(({ err }) => err !== undefined)).toEqual([]);
      expect(warningsOf(lines).filter((msg) => msg === outage)).toHaveLength(1);
      await faulty.toPostgres.enable();
      await until(async () => (await statusOf(`${faulty.atlas.url}/health/ready`)) === 200);
    },
    TIMEOUT_MS,
  );
});
