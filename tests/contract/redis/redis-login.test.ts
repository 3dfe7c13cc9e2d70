import { describe, expect, test } from 'bun:test';
import { openRedis } from '../../../src/adapters/redis/redis.ts';
import { createLogger } from '../../../src/instrumentation/logger.ts';
import { isRedisHere, startTestRedis } from '../../support/redis.ts';

describe.if(isRedisHere())('a Redis that rejects the password', () => {
  test('is reported in the log without the password', async () => {
    const server = await startTestRedis({ args: ['--requirepass', 'another'] });
    let written = '';
    const logger = createLogger(
      { LOG_LEVEL: 'debug', LOG_FORMAT: 'json', ENVIRONMENT: 'production' },
      {
        write: (line) => {
          written += line;
        },
      },
    );
    for (const login of [':not-to-be-seen', 'somebody:not-to-be-seen']) {
      const refused = Promise.withResolvers<void>();
      const redis = openRedis({
        url: server.url.replace('redis://', `redis://${login}@`),
        timeoutMs: 2000,
        onError: (err) => {
          logger.debug({ err }, 'the connection failed');
          refused.resolve();
        },
      });
      await refused.promise;
      redis.disconnect();
    }
    expect(written).toContain('WRONGPASS');
    expect(written).not.toContain('not-to-be-seen');
    await server.stop();
  });
});
