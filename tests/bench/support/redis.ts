import { installRedis, startNativeRedis } from '../../../infra/native-redis.ts';
import { undoAtEnd } from './clean-up.ts';
import { freshFolder } from './folders.ts';
import { progress } from './progress.ts';

/** An empty Redis that ends with the benchmark. */
export interface BenchRedis {
  readonly url: string;
  readonly pid: number;
  /** Returns the commands for permits that clients have sent so far. Commands inside a script do not count. */
  permitCommands(): Promise<number>;
}

const SENT = /^cmdstat_(?:evalsha|eval|script\S*):calls=(\d+)/gm;

/** Starts a Redis on a free port of the loopback interface. */
export async function startRedis(): Promise<BenchRedis> {
  await installRedis();
  progress('starting Redis');
  const redis = await startNativeRedis(freshFolder());
  const client = new Bun.RedisClient(redis.url);
  undoAtEnd(async () => {
    client.close();
    await redis.end('SIGTERM');
  });
  return {
    url: redis.url,
    pid: redis.pid,
    async permitCommands() {
      const stats = String(await client.send('INFO', ['commandstats']));
      return [...stats.matchAll(SENT)].reduce((sum, [, calls]) => sum + Number(calls), 0);
    },
  };
}
