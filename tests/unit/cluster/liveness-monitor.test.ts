import { beforeEach, expect, test } from 'bun:test';
import { LivenessMonitor } from '../../../src/cluster/liveness-monitor.ts';
import { createLogger } from '../../../src/instrumentation/logger.ts';
import { IncarnationStub } from './incarnation-stub.ts';

let logs: string;
let monitor: LivenessMonitor;
beforeEach(() => {
  logs = '';
  const logger = createLogger(
    { LOG_LEVEL: 'info', LOG_FORMAT: 'json', ENVIRONMENT: 'test' },
    {
      write: (line) => {
        logs += line;
      },
    },
  );
  monitor = new LivenessMonitor({ silenceMaxMs: 1000, startMaxMs: 2000 }, logger);
});

test('a worker that exceeds a limit is killed once, and the log says why', () => {
  const [alive, silent, late] = [
    new IncarnationStub(),
    new IncarnationStub(),
    new IncarnationStub('starting'),
  ];
  silent.failure = 'silence';
  late.failure = 'timeout';
  for (let i = 0; i < 3; i++) monitor.check([alive, silent, late].map(({ incarnation }) => incarnation));
  expect([alive.kills, silent.kills, late.kills]).toEqual([[], ['silence'], ['timeout']]);
  expect(logs.match(/killing a worker that sends no heartbeats/g)).toHaveLength(1);
  expect(logs.match(/killing a worker that did not become ready in time/g)).toHaveLength(1);
});
