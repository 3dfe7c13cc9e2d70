import { afterAll, beforeAll, expect, test } from 'bun:test';
import { createSocket } from 'node:dgram';
import { getServers, setServers } from 'node:dns';
import { stat } from 'node:fs/promises';
import { OutgoingHttp } from '../../../src/adapters/http/outgoing-http.ts';
import { until } from '../../support/until.ts';

const configured = getServers();
const server = createSocket('udp4');
let queries = 0;
beforeAll(async () => {
  server.on('message', () => queries++);
  await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve));
  setServers([`127.0.0.1:${server.address().port}`]);
});
afterAll(() => {
  setServers(configured);
  server.close();
});

test('while name servers that a caller chose are silent, neither files nor other names wait for them', async () => {
  const controller = new AbortController();
  const http = new OutgoingHttp({ allowedHosts: ['localhost'] });
  let settled = 0;
  const checks = Array.from({ length: 64 }, (_, i) =>
    http.check(`https://host-${i}.example.test/`, controller.signal).catch((error) => {
      settled++;
      return error.code;
    }),
  );
  await until(() => queries >= checks.length);
  await stat(import.meta.path);
  await http.check('https://localhost/', new AbortController().signal);
  expect(settled).toBe(0);
  controller.abort();
  expect(new Set(await Promise.all(checks))).toEqual(new Set(['request_aborted']));
});
