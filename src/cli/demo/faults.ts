import { openRedis, untilReady } from '../../adapters/redis/redis.ts';
import type { StartedAtlas } from './started-atlas.ts';
import type { ServiceName, StartedService } from './started-service.ts';

/** What a demo has started, for the fault to harm. */
export interface Stage {
  readonly atlas: StartedAtlas;
  service(name: ServiceName): StartedService;
}

/** Something that goes wrong, and what its users should see of it. */
export interface Fault {
  readonly name: string;
  /** What is done, as a heading. */
  readonly happens: string;
  /** What to look for. */
  readonly expect: string;
  /** The real services that Atlas runs on for this; whatever is not named is embedded. */
  readonly services: readonly ServiceName[];
  /** Whether the demo stores and reads files too. */
  readonly withFiles?: boolean;
  inject(stage: Stage): Promise<void>;
  /** Nobody takes it away: Atlas has to help itself. */
  readonly healsItself?: boolean;
  /** Takes it away. */
  heal(stage: Stage): Promise<void>;
}

const REDIS_TIMEOUT_MS = 2000;

const down = (service: ServiceName): Pick<Fault, 'inject' | 'heal'> => ({
  inject: (stage) => stage.service(service).kill(),
  heal: (stage) => stage.service(service).restart(),
});

const silent = (service: ServiceName): Pick<Fault, 'inject' | 'heal'> => ({
  inject: async (stage) => stage.service(service).signal('SIGSTOP'),
  heal: async (stage) => stage.service(service).signal('SIGCONT'),
});

/** Sends a signal to the processes that `pids` picks of the running Atlas. */
const signalled = (
  signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT',
  pids: (status: NonNullable<Awaited<ReturnType<StartedAtlas['status']>>>) => readonly number[],
) => {
  return async ({ atlas }: Stage) => {
    const status = await atlas.status();
    if (status === null) throw new Error('Atlas does not say which processes it has.');
    for (const pid of pids(status)) process.kill(pid, signal);
  };
};

const firstWorker = signalled('SIGKILL', ({ slots }) =>
  slots.flatMap(({ worker }) => worker?.pid ?? []).slice(0, 1),
);
const nothing = async () => {};

/** Every fault of the demo, by name. */
export const FAULTS: readonly Fault[] = [
  {
    name: 'worker-killed',
    happens: 'one of two workers is killed (kill -9)',
    expect: 'its connections are cut, the other one serves on, and a new worker is there within 2 s',
    services: [],
    inject: firstWorker,
    healsItself: true,
    heal: nothing,
  },
  {
    name: 'supervisor-killed',
    happens: 'the supervisor is killed (kill -9)',
    expect: 'connections are refused for some seconds, until the launcher has started everything anew',
    services: [],
    inject: signalled('SIGKILL', ({ pid }) => [pid]),
    healsItself: true,
    heal: nothing,
  },
  {
    name: 'postgres-down',
    happens: 'PostgreSQL is killed (kill -9) and comes back',
    expect: '503 at once while it is away, no transfer lost or doubled, service within 5 s of its return',
    services: ['postgres'],
    ...down('postgres'),
  },
  {
    name: 'postgres-silent',
    happens: 'PostgreSQL is stopped (SIGSTOP): connections stay and nothing answers',
    expect: 'requests wait for a second or two, then the breaker opens and all get 503 at once',
    services: ['postgres'],
    ...silent('postgres'),
  },
  {
    name: 'redis-down',
    happens: 'Redis is killed (kill -9) and comes back empty',
    expect: 'nobody notices: the workers keep to their part of the cap and read past the cache',
    services: ['redis'],
    ...down('redis'),
  },
  {
    name: 'redis-silent',
    happens: 'Redis is stopped (SIGSTOP): connections stay and nothing answers',
    expect: 'nobody notices: no request waits for Redis for longer than 50 ms',
    services: ['redis'],
    ...silent('redis'),
  },
  {
    name: 'redis-flushed',
    happens: 'FLUSHALL in Redis',
    expect: 'nobody notices: permits are claimed again, the cache fills again, money never was there',
    services: ['redis'],
    inject: async (stage) => flushRedis(stage.service('redis').settings.REDIS_URL!),
    healsItself: true,
    heal: nothing,
  },
  {
    name: 'kafka-down',
    happens: 'Kafka is killed (kill -9) and comes back',
    expect: 'every transfer is posted; events wait in the outbox and are sent in order afterwards',
    services: ['kafka'],
    ...down('kafka'),
  },
  {
    name: 'kafka-silent',
    happens: 'Kafka is stopped (SIGSTOP): connections stay and nothing answers',
    expect: 'every transfer is posted; events wait in the outbox and are sent in order afterwards',
    services: ['kafka'],
    ...silent('kafka'),
  },
  {
    name: 's3-down',
    happens: 'the object store is killed (kill -9) and comes back',
    expect: 'files answer 503, everything else goes on, and no file that was stored is lost',
    services: ['s3'],
    withFiles: true,
    ...down('s3'),
  },
  {
    name: 's3-silent',
    happens: 'the object store is stopped (SIGSTOP): connections stay and nothing answers',
    expect:
      'files wait, then answer 503 or 504, everything else goes on, and no file that was stored is lost',
    services: ['s3'],
    withFiles: true,
    ...silent('s3'),
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
