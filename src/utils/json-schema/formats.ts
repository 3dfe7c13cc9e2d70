import { isIPv6 } from 'node:net';
import { isMailAddress } from '../mail-address.ts';

const DATE = /^(\d{4})-(\d{2})-(\d{2})$/;
const TIME = /^(\d{2}):(\d{2}):(\d{2})(?:\.\d+)?(?:[zZ]|[+-](\d{2}):(\d{2}))$/;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
// RFC 3986: an authority follows two slashes, brackets are only around an IP address, and a fragment comes last.
const URI =
  /^[a-z][a-z0-9+.-]*:(?:\/\/(?:(?:[\w.~!$&'()*+,;=:-]|%[0-9a-f]{2})*@)?(?:\[(?<ip>[0-9a-f:.]+)\]|(?:[\w.~!$&'()*+,;=-]|%[0-9a-f]{2})*)(?::\d*)?(?=[/?#]|$)|(?!\/\/))(?:[\w.~!$&'()*+,;=:@/?-]|%[0-9a-f]{2})*(?:#(?:[\w.~!$&'()*+,;=:@/?-]|%[0-9a-f]{2})*)?$/i;
const URI_LENGTH_MAX = 2048;
const TIME_LENGTH_MAX = 40;

/** The formats that are checked, with what a text must be. None takes longer than linear time. */
export const FORMATS: Readonly<Record<string, { readonly what: string; test(text: string): boolean }>> = {
  date: { what: 'a date such as 2026-01-31', test: isDate },
  'date-time': { what: 'a time such as 2026-01-31T12:00:00Z', test: isDateTime },
  email: { what: 'a mail address', test: isMailAddress },
  uri: { what: 'an absolute URI', test: isUri },
  uuid: { what: 'a UUID', test: (text) => UUID.test(text) },
};

function isDate(text: string): boolean {
  const [, year, month, day] = DATE.exec(text) ?? [];
  if (year === undefined) return false;
  // The day before the first of the next month is the last of this one.
  const days = new Date(Date.UTC(2000 + (Number(year) % 400), Number(month), 0)).getUTCDate();
  return Number(month) >= 1 && Number(month) <= 12 && Number(day) >= 1 && Number(day) <= days;
}

/** RFC 3339, section 5.6. A leap second is at 23:59:60 UTC. */
function isDateTime(text: string): boolean {
  if (text.length > TIME_LENGTH_MAX || !/^[^tT]+[tT]/.test(text)) return false;
  const [, hours, minutes, seconds, offsetHours = '0', offsetMinutes = '0'] = TIME.exec(text.slice(11)) ?? [];
  if (hours === undefined || !isDate(text.slice(0, 10)) || text[10]!.toLowerCase() !== 't') return false;
  const isInDay = Number(hours) < 24 && Number(minutes) < 60 && Number(seconds) <= 60;
  if (!isInDay || Number(offsetHours) >= 24 || Number(offsetMinutes) >= 60) return false;
  if (Number(seconds) < 60) return true;
  const sign = text.at(-6) === '-' ? 1 : -1;
  const inUtc =
    Number(hours) * 60 + Number(minutes) + sign * (Number(offsetHours) * 60 + Number(offsetMinutes));
  return (inUtc + 1440) % 1440 === 1439;
}

function isUri(text: string): boolean {
  const match = text.length <= URI_LENGTH_MAX ? URI.exec(text) : null;
  const ip = match?.groups?.ip;
  return match !== null && (ip === undefined || isIPv6(ip));
}
