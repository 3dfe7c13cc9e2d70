import type { LeaseHolder } from '../../src/shedding/lease-holder.ts';
import type { RenewalReply } from '../../src/shedding/lease-protocol.ts';
import type { AccountBugs } from './lease-account.ts';
import type { Holder } from './simulated-worker.ts';

/** A bug on one side of the protocol. */
export interface PlantedBug {
  readonly account?: AccountBugs;
  readonly riseAfterMs?: number;
  readonly holder?: (real: LeaseHolder, cap: number) => Holder;
}

/** Delegates everything to the real holder; a bug overrides some of it. */
function delegate(real: LeaseHolder): Holder {
  return {
    limitAt: (nowMs) => real.limitAt(nowMs),
    runShort: () => real.runShort(),
    dueAtMs: () => real.dueAtMs(),
    nextRenewal: (nowMs, demand) => real.nextRenewal(nowMs, demand),
    acceptReply: (seq, reply, nowMs) => real.acceptReply(seq, reply, nowMs),
    failRenewal: (seq, nowMs) => real.failRenewal(seq, nowMs),
    leave: () => real.leave(),
  };
}

function raisesBeforeGrant(real: LeaseHolder): Holder {
  let extra = 0;
  return {
    ...delegate(real),
    limitAt: (nowMs) => real.limitAt(nowMs) + extra,
    nextRenewal: (nowMs, demand) => {
      const renewal = real.nextRenewal(nowMs, demand);
      // Takes the permits it is about to request.
      if (renewal) extra = Math.min(2, Math.max(0, demand.wanted - renewal.claim));
      return renewal;
    },
  };
}

function reportsBeforeGivingUp(real: LeaseHolder): Holder {
  let retained = 0;
  return {
    ...delegate(real),
    limitAt: (nowMs) => Math.max(real.limitAt(nowMs), retained),
    nextRenewal: (nowMs, demand) => {
      const before = real.limitAt(nowMs);
      const renewal = real.nextRenewal(nowMs, demand);
      if (renewal) retained = real.modeAt(nowMs) === 'floor' ? 0 : before;
      return renewal;
    },
    acceptReply: (seq, reply, nowMs) => {
      retained = 0;
      return real.acceptReply(seq, reply, nowMs);
    },
    failRenewal: (seq, nowMs) => {
      retained = 0;
      return real.failRenewal(seq, nowMs);
    },
  };
}

function acceptsLateReplies(real: LeaseHolder): Holder {
  let revived = 0;
  return {
    ...delegate(real),
    limitAt: (nowMs) => Math.max(real.limitAt(nowMs), real.modeAt(nowMs) === 'floor' ? 0 : revived),
    acceptReply: (seq, reply, nowMs) => {
      const counts = real.acceptReply(seq, reply, nowMs);
      revived = counts ? 0 : (reply?.lease ?? 0);
      return counts;
    },
  };
}

function ignoresExpiry(real: LeaseHolder): Holder {
  let lease: number | null = null;
  return {
    ...delegate(real),
    limitAt: (nowMs) => lease ?? real.limitAt(nowMs),
    nextRenewal: (nowMs, demand) => {
      const renewal = real.nextRenewal(nowMs, demand);
      return renewal && { ...renewal, claim: Math.max(lease ?? renewal.claim, demand.inFlight) };
    },
    acceptReply: (seq, reply, nowMs) => {
      const counts = real.acceptReply(seq, reply, nowMs);
      if (counts) lease = reply!.lease;
      return counts;
    },
  };
}

function expiryFromTheReply(real: LeaseHolder): Holder {
  // Starts the lease when the reply arrives, which may be long after the account started it.
  let [heldUntilMs, lease] = [0, 0];
  return {
    ...delegate(real),
    limitAt: (nowMs) => (nowMs < heldUntilMs ? lease : real.limitAt(nowMs)),
    acceptReply: (seq: number, reply: RenewalReply | null, nowMs: number) => {
      const counts = real.acceptReply(seq, reply, nowMs);
      if (counts) [heldUntilMs, lease] = [nowMs + 1200, reply!.lease];
      return counts;
    },
  };
}

function floorIsCap(real: LeaseHolder, cap: number): Holder {
  return {
    ...delegate(real),
    limitAt: (nowMs) => {
      const limit = real.limitAt(nowMs);
      return real.modeAt(nowMs) === 'floor' ? cap : limit;
    },
  };
}

function claimsLessThanInFlight(real: LeaseHolder): Holder {
  return {
    ...delegate(real),
    nextRenewal: (nowMs, demand) => {
      const limit = real.limitAt(nowMs);
      const renewal = real.nextRenewal(nowMs, demand);
      return renewal && { ...renewal, claim: Math.min(renewal.claim, limit) };
    },
  };
}

/** Bugs that are easy to make in this protocol, each of which the simulation must find. */
export const PLANTED_BUGS: Readonly<Record<string, PlantedBug>> = {
  'a worker takes permits before they are granted': { holder: raisesBeforeGrant },
  'a worker reports that it gave up permits before it has': { holder: reportsBeforeGivingUp },
  'a worker accepts late replies': { holder: acceptsLateReplies },
  'a worker ignores that its lease has expired': { holder: ignoresExpiry },
  'a worker starts its lease at the reply, and uses it too long': { holder: expiryFromTheReply },
  'a worker claims less than it has in flight': { holder: claimsLessThanInFlight },
  'the floor is the whole cap': { holder: floorIsCap },
  'the floor is taken immediately': { riseAfterMs: 0 },
  'a restarted Redis grants without learning': { account: { noLearning: true } },
  'a silent worker is no longer counted': { account: { forgetsByExpiry: true } },
  'a new worker holds permits before the others know of it': { account: { admitsAtOnce: true } },
  'the permits of a corrupt record are lent': { account: { ignoresCorruption: true } },
  'permits are lent before they are returned': { account: { grantsUnreturned: true } },
};
