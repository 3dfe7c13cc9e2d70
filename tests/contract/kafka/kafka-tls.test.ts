import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KafkaAccess, SaslMechanism } from '../../../src/adapters/kafka/kafka-access.ts';
import { createKafkaClient } from '../../../src/adapters/kafka/kafka-client.ts';
import { kafkaFault } from '../../../src/adapters/kafka/kafka-fault.ts';
import { KafkaGroup } from '../../../src/adapters/kafka/kafka-group.ts';
import { probeBrokers } from '../../../src/adapters/kafka/kafka-probe.ts';
import { reachKafka } from '../../../src/adapters/kafka/kafka-reach.ts';
import { ensureTopic, topicEnds } from '../../../src/adapters/kafka/kafka-topic.ts';
import { canCertify, certify } from '../../support/certificates.ts';
import { isKafkaHere } from '../../support/kafka.ts';
import { type SecuredKafka, startSecuredKafka } from '../../support/kafka-tls.ts';
import { until } from '../../support/until.ts';

const START_TIMEOUT_MS = 60_000;
const USER = { username: 'atlas', password: 'not-to-be-seen' };
const MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const;
const TIMEOUT_MS = 5000;

describe.if(canCertify() && isKafkaHere())('a Kafka with TLS and a login', () => {
  let kafka: SecuredKafka;
  let folder: string;
  let caFile: string;
  let otherCaFile: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'atlas-test-kafka-ca-'));
    const certificate = await certify(['localhost']);
    caFile = join(folder, 'ca.pem');
    otherCaFile = join(folder, 'other.pem');
    await writeFile(caFile, certificate.ca);
    await writeFile(otherCaFile, (await certify(['localhost'])).ca);
    kafka = await startSecuredKafka(certificate, USER);
  }, START_TIMEOUT_MS);
  afterAll(async () => {
    await kafka?.stop();
    await rm(folder, { recursive: true, force: true });
  }, START_TIMEOUT_MS);

  function access(
    mechanism: SaslMechanism = 'PLAIN',
    { user = {}, host = 'localhost', file = caFile as string | null } = {},
  ): KafkaAccess {
    const login = { mechanism, ...USER, ...user };
    return { brokers: [`${host}:${kafka.securedPort}`], tls: { caFile: file ?? undefined }, login };
  }
  const errorOf = (of: KafkaAccess) =>
    reachKafka(of, TIMEOUT_MS).then(
      () => null,
      (error: Error) => error,
    );
  const faultOf = async (of: KafkaAccess) => kafkaFault(await errorOf(of));

  test.each(MECHANISMS)('works with %s: topics, transactions, and groups', async (mechanism) => {
    expect(await errorOf(access(mechanism))).toBeNull();
    const client = createKafkaClient(access(mechanism), () => {});
    const topic = `atlas-${mechanism}`;
    await ensureTopic(client, topic);
    const producer = client.producer({ transactionalId: topic, idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
    const transaction = await producer.transaction();
    await transaction.send({ topic, messages: [{ key: 'a', value: 'b' }] });
    await transaction.commit();
    await producer.disconnect();
    const ends = await topicEnds(client, topic);
    expect(Math.max(...ends.values())).toBeGreaterThan(0);
    const group = new KafkaGroup(client, topic);
    // A new Kafka has no coordinators yet.
    const members = () => group.members().catch(() => null);
    expect(await until(members)).toEqual([]);
    await group.close();
  });

  test.each(MECHANISMS)(
    'rejects a wrong password with %s, with what to do and without it',
    async (mechanism) => {
      for (const user of [{ password: 'wrong-one' }, { username: 'nobody' }]) {
        const error = await errorOf(access(mechanism, { user }));
        expect(kafkaFault(error)).toMatch(
          /^Kafka cannot be used with these settings\.\n {2}why: {2}\S.*\n {2}do: {3}Correct KAFKA_SASL_USERNAME and/,
        );
        expect(Bun.inspect(error)).not.toMatch(/not-to-be-seen|wrong-one/);
      }
    },
  );

  test('is not used if its certificate is for another host, or from another authority', async () => {
    expect(await faultOf(access('PLAIN', { host: '127.0.0.1' }))).toContain(
      'Set KAFKA_BROKERS to a host name',
    );
    expect(await faultOf(access('PLAIN', { file: otherCaFile }))).toContain('in KAFKA_CA_FILE');
    expect(await faultOf(access('PLAIN', { file: null }))).toContain('in KAFKA_CA_FILE');
  });

  test('that takes no login says so', async () => {
    const plain = { brokers: [kafka.brokers], login: { mechanism: 'SCRAM-SHA-256', ...USER } } as const;
    expect(await faultOf(plain)).toContain('Unset KAFKA_SASL_MECHANISM');
  });

  test('is used if one of its brokers accepts the settings, and one that does not respond is no fault', async () => {
    const [good] = access().brokers;
    expect(await errorOf({ ...access(), brokers: ['localhost:1', good!] })).toBeNull();
    expect(await errorOf({ ...access(), brokers: ['localhost:1'] })).toBeInstanceOf(Error);
    expect(await faultOf({ ...access(), brokers: ['localhost:1'] })).toBeNull();
    const wrong = access('PLAIN', { file: otherCaFile });
    expect(await faultOf({ ...wrong, brokers: ['localhost:1', good!] })).toContain('in KAFKA_CA_FILE');
  });

  test('is probed over TLS, with the same checks', async () => {
    const soon = () => AbortSignal.timeout(TIMEOUT_MS);
    await probeBrokers(access(), soon());
    for (const wrong of [{ host: '127.0.0.1' }, { file: otherCaFile }])
      await expect(probeBrokers(access('PLAIN', wrong), soon())).rejects.toThrow();
    await expect(probeBrokers({ brokers: access().brokers }, soon())).rejects.toThrow();
  });

  test('needs a file with a certificate', () => {
    expect(() => createKafkaClient(access('PLAIN', { file: join(folder, 'missing.pem') }), () => {})).toThrow(
      /^The certificate authorities of KAFKA_CA_FILE cannot be used\.\n {2}why: .*\n {2}do: /,
    );
  });
});
