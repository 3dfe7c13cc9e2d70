import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { lastLines } from './debian.ts';
import { installKafkaJars, KAFKA_VERSION, kafkaArchive, kafkaFolder, kafkaJars } from './kafka-jars.ts';
import { freePort } from './native-postgres.ts';

const READY = 'Kafka Server started';
const READY_TIMEOUT_MS = 60_000;
const END_TIMEOUT_MS = 15_000;
const OUTPUT_CHARS_MAX = 64_000;
// A small heap, and no compiler that pays off only after hours: what counts here is a quick start beside other tests.
const JVM = ['-Xms96m', '-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xlog:disable'];
const run = promisify(execFile);

/** Where a Kafka listens. Every listener is on the loopback interface. */
export interface KafkaPorts {
  /** The listener for everybody; a free port unless one is given. */
  readonly port?: number | undefined;
  /** One more listener, which tells its clients to come to another port: the port of a proxy in front of it. */
  readonly proxied?: { readonly port: number; readonly advertisedPort: number } | undefined;
}

/** A Kafka of one node (KRaft) started here. */
export interface NativeKafka {
  /** What `KAFKA_BROKERS` takes. */
  readonly brokers: string;
  readonly port: number;
  readonly pid: number;
  /** Settles when the server has ended, for whatever reason. */
  readonly exited: Promise<void>;
  /** Stops its time, or lets it go on. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  /** Ends it with the signal and waits until it is gone. An end in order that takes 15 s becomes a kill. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

/**
 * Starts a Kafka on the folder, and formats it where it is new; a folder of an earlier start keeps its topics, also after
 * a kill. `jvmFlags` are added to those of the machine. Throws what failed, why, and what to do.
 */
export async function startNativeKafka(
  folder: string,
  ports: KafkaPorts = {},
  jvmFlags: readonly string[] = archiveFlags(),
): Promise<NativeKafka> {
  const jars = kafkaJars();
  const java = Bun.which('java');
  if (jars === null || java === null) throw missing(java === null ? 'no java on the PATH' : 'no jars of it');
  const port = ports.port ?? (await freePort());
  const settingsFile = join(folder, 'server.properties');
  const loggingFile = join(folder, 'log4j2.properties');
  const data = join(folder, 'data');
  await writeFile(settingsFile, settingsOf(data, port, await freePort(), ports.proxied));
  await writeFile(loggingFile, LOGGING);
  const command = [...JVM, `-Dlog4j2.configurationFile=${loggingFile}`, '-cp', join(jars, '*')];
  if (!existsSync(join(data, 'meta.properties'))) await format(java, command, settingsFile);

  const child = spawn(java, [...jvmFlags, ...command, 'kafka.Kafka', settingsFile], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = new Promise<void>((done) => {
    child.once('exit', () => done());
    child.once('error', () => done());
  });
  let output = '';
  const ready = new Promise<'ready'>((done) => {
    const read = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-OUTPUT_CHARS_MAX);
      if (output.includes(READY)) done('ready');
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
  });
  let timer: Timer | undefined;
  const tooLate = new Promise<void>((done) => {
    timer = setTimeout(done, READY_TIMEOUT_MS);
  });
  const first = await Promise.race([ready, exited, tooLate]);
  clearTimeout(timer);
  if (first !== 'ready') {
    child.kill('SIGKILL');
    const why = reasonIn(output) ?? `it was not ready within ${READY_TIMEOUT_MS} ms`;
    throw new Error(
      `Kafka did not start.\n  why:  ${why}\n  do:   see whether something else uses its port (${port}) or its folder`,
    );
  }
  return {
    brokers: `127.0.0.1:${port}`,
    port,
    pid: child.pid!,
    exited,
    signal: (signal) => void child.kill(signal),
    async end(signal) {
      child.kill(signal);
      const timer = setTimeout(() => child.kill('SIGKILL'), END_TIMEOUT_MS);
      await exited;
      clearTimeout(timer);
    },
  };
}

async function format(java: string, command: readonly string[], settingsFile: string): Promise<void> {
  // An id that begins with a dash would be read as a flag.
  const clusterId = `A${Buffer.from(crypto.getRandomValues(new Uint8Array(16)))
    .toString('base64url')
    .slice(1)}`;
  const args = ['kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', settingsFile];
  try {
    await run(java, [...command, ...args], { timeout: READY_TIMEOUT_MS });
  } catch (error) {
    throw new Error(
      `The folder of Kafka could not be formatted.\n  why:  ${lastLines(error)}\n  do:   see whether the folder can be written and its disk has room`,
      { cause: error },
    );
  }
}

/** Fetches Kafka, and makes its start faster. Throws what failed, why, and what to do. */
export async function installKafka(): Promise<void> {
  await installKafkaJars();
  if (kafkaArchive() === null) await makeKafkaArchive();
}

/**
 * Starts a Kafka once and keeps the classes that it loaded as they are in memory: each start after that takes half the
 * time. A Java that cannot do so leaves nothing, and every start takes its time.
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

/** Loads Kafka's classes as they were left in memory by an earlier start: half the time. A foreign archive is ignored. */
function archiveFlags(): string[] {
  const archive = kafkaArchive();
  return archive === null ? [] : [`-XX:SharedArchiveFile=${archive}`];
}

function settingsOf(
  data: string,
  port: number,
  controllerPort: number,
  proxied: KafkaPorts['proxied'],
): string {
  const listeners = [`DIRECT://127.0.0.1:${port}`, `CONTROLLER://127.0.0.1:${controllerPort}`];
  const advertised = [`DIRECT://127.0.0.1:${port}`];
  if (proxied !== undefined) {
    listeners.push(`PROXIED://127.0.0.1:${proxied.port}`);
    advertised.push(`PROXIED://127.0.0.1:${proxied.advertisedPort}`);
  }
  return `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${controllerPort}
listeners=${listeners.join(',')}
advertised.listeners=${advertised.join(',')}
listener.security.protocol.map=DIRECT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT
inter.broker.listener.name=DIRECT
controller.listener.names=CONTROLLER
log.dirs=${data}
auto.create.topics.enable=false
# One node holds everything, so nothing can have a second copy.
default.replication.factor=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# Few partitions of its own: each is files to make at the first use and to check after a kill.
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
share.coordinator.state.topic.num.partitions=1
log.segment.bytes=16777216
log.cleaner.dedupe.buffer.size=4194304
# A node that comes back from a kill may register when the session of its former life has ended (9 s by default).
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
# The first member of a group need not wait for others; a dead one is noticed sooner than the usual 6 s if it says so.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
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

/** The innermost exception that a failed start wrote, or its last line. */
function reasonIn(output: string): string | undefined {
  const lines = output.trim().split('\n');
  const thrown = lines.findLast((line) => /^(?:Caused by: )?[\w.$]+(?:Exception|Error): /.test(line));
  return thrown?.replace(/^(?:Caused by: )?[\w.$]+: /, '') ?? (lines.at(-1) || undefined);
}

function missing(why: string): Error {
  return new Error(
    `Kafka ${KAFKA_VERSION} could not be started.\n  why:  there is ${why}\n  do:   npm run services -- install`,
  );
}
