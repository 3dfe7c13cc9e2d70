import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../infra/free-port.ts';
import { createKafkaClient } from '../../src/adapters/kafka/kafka-client.ts';
import { topicEnds } from '../../src/adapters/kafka/kafka-topic.ts';
import { canCertify, certify, writeCertificate } from '../support/certificates.ts';
import { freshDatabase } from '../support/database.ts';
import { isKafkaHere } from '../support/kafka.ts';
import { type SecuredKafka, startSecuredKafka } from '../support/kafka-tls.ts';
import { SECRETS_KEY } from '../support/secrets-key.ts';
import { until } from '../support/until.ts';
import { makeFolder, removeFolder, runAtlas, startAtlas, succeedAtlas } from './atlas-process.ts';
import { startSteadyPayments } from './payments.ts';
import { expectUnusable } from './unusable-settings.ts';

const TIMEOUT_MS = 120_000;
// A URL too: it must be masked like any other.
const PASSWORD = 'ab:not-to-be-seen';
const UNUSABLE = /Kafka cannot be used with these settings\.\n {2}why: {2}\S.*\n {2}do: {3}\S/;

describe.if(canCertify() && isKafkaHere())('on a Kafka that takes only TLS and a login', () => {
  let kafka: SecuredKafka;
  let folder: string;
  let otherCaFile: string;
  let settings: Record<string, string>;
  beforeAll(async () => {
    folder = await makeFolder();
    const certificate = await certify(['localhost']);
    await mkdir(join(folder, 'other'));
    const { caFile } = await writeCertificate(folder, certificate);
    ({ caFile: otherCaFile } = await writeCertificate(join(folder, 'other'), await certify(['localhost'])));
    kafka = await startSecuredKafka(certificate, { username: 'atlas', password: PASSWORD });
    settings = {
      DATABASE_URL: await freshDatabase(),
      ENVIRONMENT: 'staging',
      SECRETS_KEY,
      API_WORKERS: '2',
      KAFKA_BROKERS: `localhost:${kafka.securedPort}`,
      KAFKA_TLS: 'true',
      KAFKA_CA_FILE: caFile,
      KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512',
      KAFKA_SASL_USERNAME: 'atlas',
      KAFKA_SASL_PASSWORD: PASSWORD,
    };
  }, TIMEOUT_MS);
  afterAll(async () => {
    await kafka?.stop();
    await removeFolder(folder);
  }, TIMEOUT_MS);

  test(
    'a wrong host, authority, or password ends the start, and doctor reports it: what failed, why, and what to do',
    async () => {
      await succeedAtlas(folder, ['migrate'], settings);
      const cases = [
        [{ KAFKA_BROKERS: `127.0.0.1:${kafka.securedPort}` }, 'Set KAFKA_BROKERS to a host name of the cert'],
        [{ KAFKA_CA_FILE: otherCaFile }, 'Name the authority that issued the certificate'],
        [{ KAFKA_SASL_PASSWORD: 'wrong-one' }, 'Correct KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD'],
        [{ KAFKA_BROKERS: kafka.brokers, KAFKA_TLS: '', KAFKA_CA_FILE: '' }, 'Unset KAFKA_SASL_MECHANISM'],
      ] as const;
      for (const [change, remedy] of cases)
        await expectUnusable(folder, { ...settings, ...change }, UNUSABLE, remedy);
    },
    TIMEOUT_MS,
  );

  test(
    'events of payments reach the topic and the consumers, and the password is shown nowhere',
    async () => {
      const atlas = await startAtlas(folder, { ...settings, LOG_LEVEL: 'debug' });
      const given = { ...settings, API_PORT: new URL(atlas.url).port };
      try {
        const payments = await startSteadyPayments(atlas.url, atlas.key!);
        await payments.settle();
        const plain = createKafkaClient({ brokers: [kafka.brokers] }, () => {});
        // A partition of a new topic has no leader at first.
        const ends = () => topicEnds(plain, 'atlas.events').catch(() => new Map<number, number>());
        await until(async () => Math.max(0, ...(await ends()).values()) > 0);
        await until(async () => {
          const metrics = await (await fetch(`${atlas.url}/metrics`)).text();
          return /^atlas_relay_backlog_rows(?:\{.*\})? 0$/m.test(metrics);
        });
        const doctor = await runAtlas(folder, ['doctor', '--json'], given);
        expect(JSON.parse(doctor.stdout)).toMatchObject({ ok: true, problems: [] });
        const config = await succeedAtlas(folder, ['config'], given);
        expect(config).toMatch(/KAFKA_SASL_PASSWORD +\*{8} +environment/);
        for (const text of [doctor.stdout, config, atlas.output()])
          expect(text).not.toContain('not-to-be-seen');
      } finally {
        await atlas.end('SIGTERM');
      }
      expect(atlas.output()).not.toContain('not-to-be-seen');
    },
    TIMEOUT_MS,
  );

  test(
    'a Kafka that does not respond is no reason not to start, and one that rejects the login later is logged with what to do',
    async () => {
      const down = { ...settings, KAFKA_BROKERS: `localhost:${await freePort()}` };
      const atlas = await startAtlas(folder, down);
      expect((await fetch(`${atlas.url}/health/ready`)).status).toBe(200);
      await atlas.end('SIGTERM');
      await kafka.kill();
      const wrong = await startAtlas(folder, { ...settings, KAFKA_SASL_PASSWORD: 'wrong-one' });
      try {
        await kafka.restart();
        await until(() => wrong.output().includes('Correct KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD'), {
          deadlineMs: 15_000,
          details: () => wrong.output(),
        });
        expect((await fetch(`${wrong.url}/health/ready`)).status).toBe(200);
      } finally {
        await wrong.end('SIGTERM');
      }
      expect(wrong.output()).not.toContain('wrong-one');
    },
    TIMEOUT_MS,
  );
});
