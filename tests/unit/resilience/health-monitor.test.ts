import { describe, expect, test } from 'bun:test';
import { CircuitBreaker } from '../../../src/resilience/circuit-breaker.ts';
import { HealthMonitor } from '../../../src/resilience/health-monitor.ts';
import { Probe } from '../../../src/resilience/probe.ts';
import { inVirtualTime, pass } from '../../support/virtual-time.ts';

/** A monitor of a server that the test switches on and off. */
function monitored(silenceMs?: number) {
  const server = { isUp: true, probes: 0, isBusy: false, silences: 0 };
  const breaker = new CircuitBreaker({
    failureThreshold: 5,
    recoveryTimeoutMs: 60_000,
    nowMs: () => performance.now(),
  });
  const probe = new Probe('thing', async () => {
    server.probes++;
    if (!server.isUp) throw new Error('connection refused');
  });
  const monitor = new HealthMonitor({
    breaker,
    probe,
    silenceMs,
    isBusy: () => server.isBusy,
    onSilent: () => server.silences++,
  });
  return { server, breaker, monitor };
}

describe('while the breaker is open', () => {
  test('a probe is made every second, and probes that succeed close it and stop the timer', () =>
    inVirtualTime(async (pendingTimers) => {
      const { server, breaker, monitor } = monitored();
      server.isUp = false;
      breaker.trip();
      monitor.start();
      await pass(5000);
      expect(server.probes).toBe(5);
      expect(breaker.state).toBe('open');
      server.isUp = true;
      await pass(5000);
      expect(breaker.state).toBe('closed');
      expect(pendingTimers('src/resilience')).toBe(0);
    }));

  test('a closed monitor makes no more probes', () =>
    inVirtualTime(async (pendingTimers) => {
      const { server, breaker, monitor } = monitored();
      breaker.trip();
      monitor.start();
      monitor.close();
      monitor.start();
      await pass(5000);
      expect(server.probes).toBe(0);
      expect(pendingTimers('src/resilience')).toBe(0);
    }));
});

describe('while calls run without a response', () => {
  test('a failed probe opens the breaker and reports the silence', () =>
    inVirtualTime(async () => {
      const { server, breaker, monitor } = monitored(500);
      server.isUp = false;
      server.isBusy = true;
      monitor.callsStarted();
      await pass(490);
      expect([server.probes, breaker.state]).toEqual([0, 'closed']);
      await pass(300);
      expect([server.silences, breaker.state]).toEqual([1, 'open']);
      monitor.close();
    }));

  test('a response in time means that no probe is made', () =>
    inVirtualTime(async () => {
      const { server, breaker, monitor } = monitored(500);
      server.isUp = false;
      server.isBusy = true;
      monitor.callsStarted();
      for (let i = 0; i < 20; i++) {
        await pass(250);
        monitor.responseReceived();
      }
      expect([server.probes, server.silences, breaker.state]).toEqual([0, 0, 'closed']);
      monitor.close();
    }));

  test('nothing is probed without a silence limit', () =>
    inVirtualTime(async (pendingTimers) => {
      const { server, monitor } = monitored();
      server.isBusy = true;
      monitor.callsStarted();
      await pass(5000);
      expect(server.probes).toBe(0);
      expect(pendingTimers('src/resilience')).toBe(0);
    }));
});
