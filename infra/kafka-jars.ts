import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { installPackages } from './debian.ts';
import { buildTool, toolsDir } from './tool-build.ts';

/** The version of Kafka that tests run. 4.4.0 needs a jar (`kafka-tools-api`) that is not published. */
export const KAFKA_VERSION = '4.3.1';
const LOG4J_VERSION = '2.25.4';
const COPY = 'org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies';
const JAVA_VERSION_MIN = 17;
const INSTALL_TIMEOUT_MS = 10 * 60_000;
const run = promisify(execFile);

/** Returns the folder of Kafka's jars at the pinned version, or null if they are not installed. */
export function kafkaJars(): string | null {
  const jars = join(kafkaFolder(), 'jars');
  return existsSync(jars) ? jars : null;
}

/** Returns the class archive that an earlier start left, or null. */
export function kafkaArchive(): string | null {
  const archive = join(kafkaFolder(), 'classes.jsa');
  return existsSync(archive) ? archive : null;
}

/** The folder of the pinned version of Kafka, outside the repository. */
export function kafkaFolder(): string {
  return join(toolsDir(), 'kafka', KAFKA_VERSION);
}

/**
 * Downloads Kafka's jars with Maven, and installs Debian's Maven and Java if they are missing. Throws what failed, why,
 * and what to do.
 */
export async function installKafkaJars(): Promise<void> {
  if (kafkaJars() !== null && (await javaVersion()) >= JAVA_VERSION_MIN) return;
  if ((await javaVersion()) < JAVA_VERSION_MIN) await installPackages('default-jre-headless');
  if (kafkaJars() !== null) return;
  if (Bun.which('mvn') === null) await installPackages('maven', 'ca-certificates');
  const texts = {
    failed: `Kafka ${KAFKA_VERSION} could not be downloaded.`,
    remedy: "check that Maven's central repository can be reached, then run the command again",
  };
  await buildTool('kafka', texts, async (folder) => {
    await writeFile(join(folder, 'pom.xml'), POM);
    const options = { cwd: folder, timeout: INSTALL_TIMEOUT_MS, maxBuffer: 64 << 20 };
    await run('mvn', ['--batch-mode', '--quiet', COPY, '-DoutputDirectory=jars'], options);
    await mkdir(kafkaFolder(), { recursive: true });
    await rename(join(folder, 'jars'), join(kafkaFolder(), 'jars'));
  }).catch((error) => {
    // A concurrent installation was faster.
    if (kafkaJars() === null) throw error;
  });
}

/** Returns the folder of Kafka's jars if there is also a Java to run them, or else null. */
export function findKafka(): string | null {
  return Bun.which('java') === null ? null : kafkaJars();
}

async function javaVersion(): Promise<number> {
  const java = Bun.which('java');
  if (java === null) return 0;
  const { stderr } = await run(java, ['-version']);
  return Number(/version "(\d+)/.exec(stderr)?.[1] ?? 0);
}

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>atlas</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>${LOG4J_VERSION}</version>
    </dependency>
  </dependencies>
</project>
`;
