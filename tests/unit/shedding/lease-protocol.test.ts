import { expect, test } from 'bun:test';
import { decodeReply, encodeRenewal, STANDING } from '../../../src/shedding/lease-protocol.ts';

test('a renewal is encoded in the order in which the script reads it, as integers', () => {
  const renewal = {
    workerId: 'w',
    seq: 7,
    claim: 40,
    wanted: 12.1,
    inFlight: 3,
    cap: 100,
    cutoff: 17.9,
    arrivals: 250.2,
    standing: STANDING.member,
    workers: 4,
    epoch: 1,
    version: 5,
  };
  expect(encodeRenewal(renewal)).toEqual(['beat', 'w', 7, 40, 13, 3, 100, 17, 251, 2, 4, 1, 5]);
});

test('a reply is decoded in the order in which the script returns it', () => {
  expect(decodeReply([1, 40, 2, 1, 4, 10, 5, 100, 90, 30, 120, 1, 17, 3])).toEqual({
    lease: 40,
    standing: STANDING.member,
    isLearning: true,
    workers: 4,
    epoch: 10,
    version: 5,
    cap: 100,
    held: 90,
    inFlight: 30,
    wanted: 120,
    isShort: true,
    cutoff: 17,
    recentWorkers: 3,
  });
});

test('an ignored renewal has no reply', () => {
  expect(decodeReply([0])).toBeNull();
});
