import { type AtlasEvent, toCloudEvent } from '../../../utils/event.ts';

/** An event in the log. Positions number the events of all owners, without gaps. */
export interface SentEvent extends AtlasEvent {
  readonly position: number;
}

// 13 digits hold 2^52−1, more than any position, and every cursor is an exact number.
const CURSOR_DIGITS = 13;

/** The format of cursors: the position up to which the client has read. The ids of a stream are cursors too. */
export const CURSOR_FORM = /^e[0-9a-f]{13}$/;

export function parseCursor(text: string): number {
  return Number.parseInt(text.slice(1), 16);
}

export function writeCursor(position: number): string {
  return `e${position.toString(16).padStart(CURSOR_DIGITS, '0')}`;
}

/** The format of event ids. */
export const EVENT_ID_FORM = /^[\w.-]{1,100}:(?:0|[1-9]\d{0,14})$/;

/** Splits a well-formed id. */
export function parseEventId(id: string): Pick<AtlasEvent, 'key' | 'sequence'> {
  const colon = id.lastIndexOf(':');
  return { key: id.slice(0, colon), sequence: Number(id.slice(colon + 1)) };
}

/** A CloudEvent with its position, as a string because integers of CloudEvents have 32 bits. */
export function toResource(event: SentEvent) {
  return { ...toCloudEvent(event), position: String(event.position) };
}

/** The first block of a stream (HTML, section 9.2): its position, and when to reconnect after it ends. */
export function greetingBlock(position: number, retryMs: number): string {
  return `retry: ${retryMs}\nid: ${writeCursor(position)}\n\n`;
}

/** The block of one event. A CloudEvent as JSON has no line breaks, so it is one line of data. */
export function eventBlock(event: SentEvent): string {
  const data = JSON.stringify(toCloudEvent(event));
  return `id: ${writeCursor(event.position)}\nevent: ${event.type}\ndata: ${data}\n\n`;
}

/** The comment sent when a stream is idle, so that both sides can detect a dead connection. */
export const HEARTBEAT_BLOCK = ': still here\n\n';
