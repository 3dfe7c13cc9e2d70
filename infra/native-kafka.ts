import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { failure, lastLines } from './failure.ts';
import { freePort } from './free-port.ts';
import { installKafkaJars, KAFKA_VERSION, kafkaArchive, kafkaFolder, kafkaJars } from './kafka-jars.ts';
import { lastLineOf, type NativeProcess, startNativeProcess } from './native-process.ts';

const READY = 'Kafka Server started';
const READY_TIMEOUT_MS = 60_000;
const END_TIMEOUT_MS = 15_000;
// A small heap, and no compiler that pays off only after hours: a quick start next to other tests is what counts.
const JVM = ['-Xms96m', '-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xlog:disable'];
const run = promisify(execFile);

/** The ports of a Kafka. Every listener is on the loopback interface. */
export interface KafkaPorts {
  /** The listener for direct connections; by default on a free port. */
  readonly port?: number | undefined;
  /** A second listener, which advertises the port of the proxy in front of it. */
  readonly proxied?: { readonly port: number; readonly advertisedPort: number } | undefined;
  /** Another listener, for TLS and a login, which advertises `localhost`. */
  readonly secured?: KafkaLogin | undefined;
}

/** A listener with SASL_SSL, and the one user that may use it, with any of the mechanisms. */
export interface KafkaLogin {
  readonly port: number;
  /** A PEM file with the private key and its certificate. */
  readonly keyStoreFile: string;
  readonly username: string;
  readonly password: string;
}

/** A single-node Kafka (KRaft) started here. An orderly stop that takes 15 s becomes a kill. */
export interface NativeKafka extends NativeProcess {
  /** The value for `KAFKA_BROKERS`. */
  readonly brokers: string;
  readonly port: number;
}

/**
 * Starts a Kafka on the folder, and formats a new folder first. The topics of an earlier start are kept, also after a
 * kill. `jvmFlags` are added to those of the JVM. Throws what failed, why, and what to do.
 */
export async function startNativeKafka(
  folder: string,
  ports: KafkaPorts = {},
  jvmFlags: readonly string[] = archiveFlags(),
): Promise<NativeKafka> {
  const jars = kafkaJars();
  const java = Bun.which('java');
  if (jars === null || java === null)
    throw failure(
      `Kafka ${KAFKA_VERSION} could not be started.`,
      java === null ? 'there is no java on the PATH' : 'its jars are not installed',
      'npm run services -- install',
    );
  const port = ports.port ?? (await freePort());
  const settingsFile = join(folder, 'server.properties');
  const loggingFile = join(folder, 'log4j2.properties');
  const data = join(folder, 'data');
  await writeFile(settingsFile, settingsOf(data, port, await freePort(), ports));
  await writeFile(loggingFile, LOGGING);
  const args = [...JVM, `-Dlog4j2.configurationFile=${loggingFile}`, '-cp', join(jars, '*')];
  if (!existsSync(join(data, 'meta.properties'))) await format(java, args, settingsFile, ports.secured);
  const process = await startNativeProcess({
    title: 'Kafka',
    command: java,
    args: [...jvmFlags, ...args, 'kafka.Kafka', settingsFile],
    isReady: (output) => output.includes(READY),
    readyTimeoutMs: READY_TIMEOUT_MS,
    endTimeoutMs: END_TIMEOUT_MS,
    reasonIn,
    remedy: `check whether another process uses its port (${port}) or its folder`,
  });
  return { ...process, brokers: `127.0.0.1:${port}`, port };
}

async function format(
  java: string,
  command: readonly string[],
  settingsFile: string,
  secured: KafkaLogin | undefined,
): Promise<void> {
  // An id that starts with a dash would be parsed as a flag.
  const clusterId = `A${Buffer.from(crypto.getRandomValues(new Uint8Array(16)))
    .toString('base64url')
    .slice(1)}`;
  const users =
    secured === undefined ? [] : SCRAM.flatMap((name) => ['--add-scram', scramUser(name, secured)]);
  const args = ['kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', settingsFile, ...users];
  try {
    await run(java, [...command, ...args], { timeout: READY_TIMEOUT_MS });
  } catch (error) {
    throw failure(
      "Kafka's folder could not be formatted.",
      lastLines(error),
      'check that the folder is writable and its disk has space',
      error,
    );
  }
}

/** Downloads Kafka and prepares it for faster starts. Throws what failed, why, and what to do. */
export async function installKafka(): Promise<void> {
  await installKafkaJars();
  if (kafkaArchive() === null) await makeKafkaArchive();
}

/**
 * Starts a Kafka once and archives the classes that it loaded (class data sharing), which halves the time of later
 * starts. A Java that cannot do so leaves no archive, and starts take their usual time.
 */
async function makeKafkaArchive(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'atlas-kafka-archive-'));
  const archive = join(kafkaFolder(), `classes-${process.pid}.jsa`);
  try {
    const kafka = await startNativeKafka(folder, {}, [`-XX:ArchiveClassesAtExit=${archive}`]);
    await kafka.end('SIGTERM');
    if (existsSync(archive)) await rename(archive, join(kafkaFolder(), 'classes.jsa'));
  } finally {
    await rm(archive, { force: true });
    await rm(folder, { recursive: true, force: true });
  }
}

/** Uses the class archive of {@link makeKafkaArchive}, if any. Java ignores an archive of another version. */
function archiveFlags(): string[] {
  const archive = kafkaArchive();
  return archive === null ? [] : [`-XX:SharedArchiveFile=${archive}`];
}

function settingsOf(
  data: string,
  port: number,
  controllerPort: number,
  { proxied, secured }: KafkaPorts,
): string {
  const listeners = [`DIRECT://127.0.0.1:${port}`, `CONTROLLER://127.0.0.1:${controllerPort}`];
  const advertised = [`DIRECT://127.0.0.1:${port}`];
  if (proxied !== undefined) {
    listeners.push(`PROXIED://127.0.0.1:${proxied.port}`);
    advertised.push(`PROXIED://127.0.0.1:${proxied.advertisedPort}`);
  }
  if (secured !== undefined) {
    listeners.push(`SECURED://127.0.0.1:${secured.port}`);
    advertised.push(`SECURED://localhost:${secured.port}`);
  }
  return `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${controllerPort}
listeners=${listeners.join(',')}
advertised.listeners=${advertised.join(',')}
listener.security.protocol.map=DIRECT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT,SECURED:SASL_SSL
inter.broker.listener.name=DIRECT
controller.listener.names=CONTROLLER
log.dirs=${data}
auto.create.topics.enable=false
# A single node cannot hold a second replica.
default.replication.factor=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# Few internal partitions: each has files to create at first use and to check after a kill.
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
share.coordinator.state.topic.num.partitions=1
log.segment.bytes=16777216
log.cleaner.dedupe.buffer.size=4194304
# A node that was killed can register again only when its previous session has expired (9 s by default).
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
# The first member of a group does not wait for others, and members may ask for sessions below the default 6 s.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
${secured === undefined ? '' : loginSettings(secured)}`;
}

const SCRAM = ['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const;

function scramUser(mechanism: string, { username, password }: KafkaLogin): string {
  return `${mechanism}=[name=${username},password=${password}]`;
}

function loginSettings({ keyStoreFile, username, password }: KafkaLogin): string {
  const modules = 'org.apache.kafka.common.security';
  const scram = SCRAM.map(
    (name) =>
      `listener.name.secured.${name.toLowerCase()}.sasl.jaas.config=${modules}.scram.ScramLoginModule required;`,
  );
  return `listener.name.secured.ssl.keystore.type=PEM
listener.name.secured.ssl.keystore.location=${keyStoreFile}
listener.name.secured.sasl.enabled.mechanisms=PLAIN,${SCRAM.join(',')}
listener.name.secured.plain.sasl.jaas.config=${modules}.plain.PlainLoginModule required user_${username}="${password}";
${scram.join('\n')}
`;
}

const LOGGING = `appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%p %c{1} %m%n%ex
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
logger.server.name=kafka.server.KafkaRaftServer
logger.server.level=info
`;

/** The innermost exception in the output of a failed start, or its last line. */
function reasonIn(output: string): string | undefined {
  const lines = output.trim().split('\n');
  const thrown = lines.findLast((line) => /^(?:Caused by: )?[\w.$]+(?:Exception|Error): /.test(line));
  return thrown?.replace(/^(?:Caused by: )?[\w.$]+: /, '') ?? lastLineOf(output);
}
