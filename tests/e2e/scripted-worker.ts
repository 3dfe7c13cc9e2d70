import type { FromSupervisor } from '../../src/cluster/messages.ts';

// A worker process that speaks the protocol and serves nothing, so that a test controls its messages.
const silentAfterMs = Number(process.env.SILENT_AFTER_MS ?? Number.POSITIVE_INFINITY);
const drainMs = Number(process.env.DRAIN_MS ?? 0);
const slot = Number(process.env.ATLAS_WORKER_SLOT);
const incarnation = Number(process.env.ATLAS_WORKER_INCARNATION);
if (incarnation > Number(process.env.STARTS_MAX ?? Number.POSITIVE_INFINITY)) process.exit(1);
let sharesApplied = 0;
let limit = 0;
let jobs = false;

// The first incarnations of these slots compute for so long, and read and send nothing meanwhile.
const spinSlots = (process.env.SPIN_SLOTS ?? '').split(',').map(Number);
const spinMs = Number(process.env.SPIN_MS ?? 0);
const spin = () => {
  const endMs = performance.now() + spinMs;
  while (performance.now() < endMs);
};

const send = (message: object) => process.send!(message);
const heartbeat = () => {
  // Only the first incarnation of the first slot falls silent, and from then on does nothing.
  if (slot === 0 && incarnation === 1 && performance.now() > silentAfterMs) return clearInterval(timer);
  const status = {
    pid: process.pid,
    slot,
    incarnation,
    inFlight: 0,
    limit,
    // Shows the test which worker runs the jobs of the host, in a field that is free text.
    mode: jobs ? 'jobs' : 'none',
    cap: 0,
    adaptiveLimit: null,
    cutoff: 0,
    refusedPerSecond: 0,
    loopDelayMs: 0,
    rssBytes: 0,
    breakers: {},
    draining: false,
  };
  send({ kind: 'heartbeat', status, sharesApplied, accepting: true });
};

process.on('message', (message: FromSupervisor) => {
  if (message.kind === 'share') {
    sharesApplied++;
    limit = message.permits ?? Number.MAX_SAFE_INTEGER;
  } else if (message.kind === 'jobs') jobs = message.run;
  else if (message.kind === 'drain') setTimeout(() => process.exit(0), drainMs);
  else if (message.kind === 'report-exit') send({ kind: 'exit-reported', workerId: message.workerId });
  heartbeat();
});
process.on('disconnect', () => process.exit(0));
heartbeat();
send({ kind: 'booted' });
// The first incarnation of the first slot may send heartbeats without ever serving.
// Successors may take a while to start.
const startMs = incarnation > 1 ? Number(process.env.SUCCESSOR_START_MS ?? 0) : 0;
if (!(process.env.NEVER_READY && slot === 0 && incarnation === 1))
  if (startMs > 0) setTimeout(() => send({ kind: 'ready' }), startMs);
  else send({ kind: 'ready' });
const timer = setInterval(heartbeat, 20);
if (spinMs > 0 && incarnation === 1 && spinSlots.includes(slot)) setTimeout(spin, 300);
