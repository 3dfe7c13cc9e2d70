import { describe, expect, test } from 'bun:test';
import { createServer } from 'node:net';
import { freePort } from '../../../infra/free-port.ts';
import { probeBrokers } from '../../../src/adapters/kafka/kafka-probe.ts';
import { isKafkaHere, sharedTestKafka } from '../../support/kafka.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';

const soon = () => AbortSignal.timeout(500);

describe('the probe of Kafka', () => {
  test.if(isKafkaHere())(
    'succeeds if one broker responds and another is down',
    async () => {
      const { brokers } = await sharedTestKafka();
      await probeBrokers({ brokers: [`127.0.0.1:${await freePort()}`, brokers] }, AbortSignal.timeout(5000));
    },
    START_TIMEOUT_MS,
  );

  test('rejects if nothing listens', async () => {
    const port = await freePort();
    await expect(probeBrokers({ brokers: [`127.0.0.1:${port}`] }, soon())).rejects.toThrow();
  });

  test('rejects at its deadline if the server is silent, and leaves no connection behind', async () => {
    let open = 0;
    const closed = Promise.withResolvers<void>();
    const server = createServer((socket) => {
      open++;
      socket.resume();
      socket.on('error', () => {});
      socket.on('close', () => {
        open--;
        closed.resolve();
      });
    });
    const port = await freePort();
    await new Promise<void>((listening) => void server.listen(port, '127.0.0.1', () => listening()));
    await expect(probeBrokers({ brokers: [`127.0.0.1:${port}`] }, soon())).rejects.toThrow();
    await closed.promise;
    expect(open).toBe(0);
    server.close();
  });
});
