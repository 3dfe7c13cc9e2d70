import type { Random } from './random.ts';
import type { World } from './world.ts';

/** Injects a fault, and schedules its end. */
type Fault = (world: World, random: Random) => void;

const LASTS_MS_MAX = 4000;

const cutSome: Fault = (world, random) => {
  const kind = random.pick(['both', 'requests', 'replies'] as const);
  world.cut(world.someWorkers(), kind, random.between(50, LASTS_MS_MAX));
};

const cutAll: Fault = (world, random) => {
  world.cut(world.liveWorkers(), 'both', random.between(50, LASTS_MS_MAX));
};

const loseMessages: Fault = (world, random) => {
  world.network.lossProbability = random.between(0.05, 0.6);
  world.clock.after(random.between(200, LASTS_MS_MAX), () => {
    world.network.lossProbability = 0;
  });
};

const slowDown: Fault = (world, random) => {
  world.network.delayMsMax = random.pick([60, 150, 500, 2000]);
  world.clock.after(random.between(200, LASTS_MS_MAX), () => {
    world.network.delayMsMax = 2;
  });
};

/** Redis restarts empty, like one without a disk. */
const crashRedis: Fault = (world, random) => world.crashRedis(random.between(20, LASTS_MS_MAX), null);

/** Redis restarts with an older state, from a replica or from disk. */
const failOver: Fault = (world, random) => {
  const copy = world.redis.copy();
  world.clock.after(random.between(0, 2000), () => {
    world.redis.jump(random.whole(-5000, 5000));
    world.crashRedis(random.between(0, 1500), copy);
  });
};

const flush: Fault = (world) => world.redis.flush();
const corrupt: Fault = (world, random) => world.redis.corrupt(random);

const pause: Fault = (world, random) => {
  for (const worker of world.someWorkers()) {
    worker.pause();
    world.clock.after(random.between(50, LASTS_MS_MAX), () => worker.resume());
  }
};

const kill: Fault = (world, random) => {
  const worker = world.anyWorker();
  if (!worker) return;
  worker.kill();
  if (random.chance(0.8)) world.reportExit(worker, random.between(0, 500));
  if (random.chance(0.9)) world.clock.after(random.between(20, 800), () => world.startWorker());
};

const join: Fault = (world) => world.startWorker();

const leave: Fault = (world, random) => {
  world.anyWorker()?.leave();
  if (random.chance(0.7)) world.clock.after(random.between(0, 500), () => world.startWorker());
};

const jumpFar: Fault = (world, random) => world.redis.jump(random.whole(-5000, 5000));
const jumpNear: Fault = (world, random) => world.redis.jump(random.whole(0, 999));

/** A worker joins, and Redis becomes unavailable before all others know. */
const joinThenCrash: Fault = (world, random) => {
  world.startWorker();
  const disconnect = () =>
    random.chance(0.5)
      ? world.crashRedis(LASTS_MS_MAX, null)
      : world.cut(world.liveWorkers(), 'both', LASTS_MS_MAX);
  world.clock.after(random.between(0, 250), disconnect);
};

/** Some workers are cut off; once their permits have been lent to the others, those lose Redis too. */
const cutSomeThenAll: Fault = (world, random) => {
  world.cut(world.someWorkers(), 'both', 2 * LASTS_MS_MAX);
  world.clock.after(random.between(500, 2000), () =>
    world.cut(world.liveWorkers(), 'both', 1.5 * LASTS_MS_MAX),
  );
};

export const FAULTS: Readonly<Record<string, Fault>> = {
  cutSome,
  cutAll,
  loseMessages,
  slowDown,
  crashRedis,
  failOver,
  flush,
  corrupt,
  pause,
  kill,
  join,
  leave,
  jumpFar,
  jumpNear,
  joinThenCrash,
  cutSomeThenAll,
};
