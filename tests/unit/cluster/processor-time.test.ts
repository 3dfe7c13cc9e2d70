import { expect, test } from 'bun:test';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { processorTimeOf } from '../../../src/cluster/processor-time.ts';

const onLinux = test.if(process.platform === 'linux');

onLinux('it grows while a process computes', () => {
  const before = processorTimeOf(process.pid)!;
  const startMs = performance.now();
  while (processorTimeOf(process.pid)! <= before) expect(performance.now() - startMs).toBeLessThan(5000);
});

onLinux('it is the time in the program and in the kernel together', () => {
  const usedMs = () => {
    const { user, system } = process.cpuUsage();
    return { total: (user + system) / 1000, system: system / 1000 };
  };
  const startMs = performance.now();
  while (usedMs().system < 200) {
    processorTimeOf(process.pid);
    expect(performance.now() - startMs).toBeLessThan(20_000);
  }
  // A tick is 10 ms on every system that Atlas runs on.
  expect(Math.abs(processorTimeOf(process.pid)! * 10 - usedMs().total)).toBeLessThan(50);
});

onLinux('it stands still while a process is stopped, whatever its name', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'atlas-time-'));
  const program = join(folder, 'a) R (b c');
  symlinkSync(process.execPath, program);
  const child = Bun.spawn([program, '-e', 'for (;;);'], { stdio: ['ignore', 'ignore', 'ignore'] });
  const startMs = performance.now();
  while (processorTimeOf(child.pid)! < 10) expect(performance.now() - startMs).toBeLessThan(10_000);
  child.kill('SIGSTOP');
  while (!(await Bun.file(`/proc/${child.pid}/stat`).text()).includes(') T '))
    expect(performance.now() - startMs).toBeLessThan(10_000);
  const stopped = processorTimeOf(child.pid);
  expect(stopped).toBeGreaterThanOrEqual(10);
  await Bun.sleep(50);
  expect(processorTimeOf(child.pid)).toBe(stopped);
  child.kill('SIGKILL');
  await child.exited;
  rmSync(folder, { recursive: true });
});

test('that of a process that does not exist is null', () => {
  expect(processorTimeOf(2 ** 30)).toBeNull();
});
