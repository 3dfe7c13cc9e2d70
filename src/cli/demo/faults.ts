import { openRedis, untilReady } from '../../adapters/redis/redis.ts';
import type { StartedAtlas } from './started-atlas.ts';
import type { ServiceName, StartedService } from './started-service.ts';

/** The processes of a demo, for a fault to act on. */
export interface DemoSystem {
  readonly atlas: StartedAtlas;
  service(name: ServiceName): StartedService;
}

/** A failure, and what clients should see of it. */
export interface Fault {
  readonly name: string;
  readonly description: string;
  /** What clients should see. */
  readonly expect: string;
  /** The real services that this fault needs; everything else is embedded. */
  readonly services: readonly ServiceName[];
  /** Whether the demo also stores and reads files. */
  readonly withFiles?: boolean;
  inject(system: DemoSystem): Promise<void>;
  /** Nothing removes the fault: Atlas has to recover on its own. */
  readonly selfHeals?: boolean;
  /** Removes the fault. */
  heal(system: DemoSystem): Promise<void>;
}

const REDIS_TIMEOUT_MS = 2000;

const down = (service: ServiceName): Pick<Fault, 'inject' | 'heal'> => ({
  inject: (system) => system.service(service).kill(),
  heal: (system) => system.service(service).restart(),
});

const frozen = (service: ServiceName): Pick<Fault, 'inject' | 'heal'> => ({
  inject: async (system) => system.service(service).signal('SIGSTOP'),
  heal: async (system) => system.service(service).signal('SIGCONT'),
});

/** Sends a signal to the processes of the running Atlas that `pids` selects. */
const signalAtlas = (
  signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT',
  pids: (status: NonNullable<Awaited<ReturnType<StartedAtlas['status']>>>) => readonly number[],
) => {
  return async ({ atlas }: DemoSystem) => {
    const status = await atlas.status();
    if (status === null) throw new Error('The supervisor of the demo did not report its processes.');
    for (const pid of pids(status)) process.kill(pid, signal);
  };
};

const killFirstWorker = signalAtlas('SIGKILL', ({ slots }) =>
  slots.flatMap(({ worker }) => worker?.pid ?? []).slice(0, 1),
);
const noop = async () => {};

/** Every fault of the demo, by name. */
export const FAULTS: readonly Fault[] = [
  {
    name: 'worker-killed',
    description: 'one of two workers is killed (kill -9)',
    expect: 'its connections are cut, the other worker keeps serving, and a new worker is ready within 2 s',
    services: [],
    inject: killFirstWorker,
    selfHeals: true,
    heal: noop,
  },
  {
    name: 'supervisor-killed',
    description: 'the supervisor is killed (kill -9)',
    expect: 'connections are refused for a few seconds, until the launcher has restarted everything',
    services: [],
    inject: signalAtlas('SIGKILL', ({ pid }) => [pid]),
    selfHeals: true,
    heal: noop,
  },
  {
    name: 'postgres-down',
    description: 'PostgreSQL is killed (kill -9) and restarted',
    expect:
      'immediate 503 while it is down, no transfer lost or duplicated, service within 5 s of its restart',
    services: ['postgres'],
    ...down('postgres'),
  },
  {
    name: 'postgres-silent',
    description: 'PostgreSQL is frozen (SIGSTOP): connections stay open, but nothing responds',
    expect: 'requests wait for a second or two, then the circuit breaker opens and all get an immediate 503',
    services: ['postgres'],
    ...frozen('postgres'),
  },
  {
    name: 'redis-down',
    description: 'Redis is killed (kill -9) and restarted empty',
    expect: 'clients notice nothing: workers use fixed shares of the cap and bypass the cache',
    services: ['redis'],
    ...down('redis'),
  },
  {
    name: 'redis-silent',
    description: 'Redis is frozen (SIGSTOP): connections stay open, but nothing responds',
    expect: 'clients notice nothing: no request waits for Redis longer than 50 ms',
    services: ['redis'],
    ...frozen('redis'),
  },
  {
    name: 'redis-flushed',
    description: 'Redis loses all keys (FLUSHALL)',
    expect:
      'clients notice nothing: permits are claimed again, the cache refills, and money is never stored there',
    services: ['redis'],
    inject: async (system) => flushRedis(system.service('redis').settings.REDIS_URL!),
    selfHeals: true,
    heal: noop,
  },
  {
    name: 'kafka-down',
    description: 'Kafka is killed (kill -9) and restarted',
    expect: 'every transfer is posted; events wait in the outbox and are sent in order afterwards',
    services: ['kafka'],
    ...down('kafka'),
  },
  {
    name: 'kafka-silent',
    description: 'Kafka is frozen (SIGSTOP): connections stay open, but nothing responds',
    expect: 'every transfer is posted; events wait in the outbox and are sent in order afterwards',
    services: ['kafka'],
    ...frozen('kafka'),
  },
  {
    name: 's3-down',
    description: 'the object store is killed (kill -9) and restarted',
    expect: 'files return 503, everything else keeps working, and no stored file is lost',
    services: ['s3'],
    withFiles: true,
    ...down('s3'),
  },
  {
    name: 's3-silent',
    description: 'the object store is frozen (SIGSTOP): connections stay open, but nothing responds',
    expect: 'files wait, then return 503 or 504, everything else keeps working, and no stored file is lost',
    services: ['s3'],
    withFiles: true,
    ...frozen('s3'),
  },
];

async function flushRedis(url: string): Promise<void> {
  const redis = openRedis({ url, timeoutMs: REDIS_TIMEOUT_MS });
  try {
    await untilReady(redis, REDIS_TIMEOUT_MS);
    await redis.flushall();
  } finally {
    redis.disconnect();
  }
}
