import { installRedis, startNativeRedis } from '../../../infra/native-redis.ts';
import { undoAtEnd } from './clean-up.ts';
import { freshFolder } from './folders.ts';
import { progress } from './progress.ts';

/** The Redis of a benchmark, empty at its start. It ends with the benchmark. */
export interface BenchRedis {
  readonly url: string;
  readonly pid: number;
  /** Commands that clients have sent for permits since the start; those that a script runs inside are not counted. */
  permitCommands(): Promise<number>;
}

const SENT = /^cmdstat_(?:evalsha|eval|script\S*):calls=(\d+)/gm;

/** Starts a Redis on a free port of the loopback interface. */
export async function startRedis(): Promise<BenchRedis> {
  await installRedis();
  progress('starting Redis');
  const redis = await startNativeRedis(freshFolder());
  const asking = new Bun.RedisClient(redis.url);
  undoAtEnd(async () => {
    asking.close();
    await redis.end('SIGTERM');
  });
  return {
    url: redis.url,
    pid: redis.pid,
    async permitCommands() {
      const told = String(await asking.send('INFO', ['commandstats']));
      return [...told.matchAll(SENT)].reduce((sum, [, calls]) => sum + Number(calls), 0);
    },
  };
}
