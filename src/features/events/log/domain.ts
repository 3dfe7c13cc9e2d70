import { type AtlasEvent, toCloudEvent } from '../../../utils/event.ts';

/** An event that was sent, with its place in the log: positions count all events, of all owners, without a gap. */
export interface SentEvent extends AtlasEvent {
  readonly position: number;
}

// 13 digits hold 2^52−1, more than positions will ever count, and every cursor is an exact number.
const CURSOR_DIGITS = 13;

/** What a cursor looks like: the position up to which its reader has everything. A stream's ids are cursors too. */
export const CURSOR_FORM = /^e[0-9a-f]{13}$/;

export function parseCursor(text: string): number {
  return Number.parseInt(text.slice(1), 16);
}

export function writeCursor(position: number): string {
  return `e${position.toString(16).padStart(CURSOR_DIGITS, '0')}`;
}

/** What an id of an event looks like. */
export const EVENT_ID_FORM = /^[\w.-]{1,100}:(?:0|[1-9]\d{0,14})$/;

/** The parts of a well-formed id. */
export function parseEventId(id: string): Pick<AtlasEvent, 'key' | 'sequence'> {
  const colon = id.lastIndexOf(':');
  return { key: id.slice(0, colon), sequence: Number(id.slice(colon + 1)) };
}

/** An event as it is listed: a CloudEvent with its position, a text because those of CloudEvents are 32-bit numbers. */
export function toListed(event: SentEvent) {
  return { ...toCloudEvent(event), position: String(event.position) };
}

/** The first words of a stream (HTML, section 9.2): where it stands, and when to come back after it has ended. */
export function greetingBlock(position: number, retryMs: number): string {
  return `retry: ${retryMs}\nid: ${writeCursor(position)}\n\n`;
}

/** One event of a stream. A CloudEvent as JSON has no line breaks, so it is one line of data. */
export function eventBlock(event: SentEvent): string {
  const data = JSON.stringify(toCloudEvent(event));
  return `id: ${writeCursor(event.position)}\nevent: ${event.type}\ndata: ${data}\n\n`;
}

/** What a stream says when it has nothing to say, so that both sides know that the other one is there. */
export const HEARTBEAT_BLOCK = ': still here\n\n';
