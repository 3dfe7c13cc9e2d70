import type { Command } from 'commander';
import type { RelayService } from '../features/events/relay/service.ts';
import { plural, table } from './output.ts';
import type { WithService } from './session.ts';

const DAY_SECONDS = 86_400;

type Status = Awaited<ReturnType<RelayService['status']>>;

export function addEventsCommand(program: Command, withRelay: WithService<RelayService>): void {
  const events = program.command('events').description('inspect event delivery and retry parked keys');

  events
    .command('status', { isDefault: true })
    .description('show the backlog, the relay, and the lag of each consumer')
    .option('--json', 'print as JSON')
    .action(({ json }: { json?: boolean }) =>
      withRelay(async (relay) => {
        const status = await relay.status();
        console.log(json ? JSON.stringify(status, null, 2) : statusText(status));
      }),
    );

  events
    .command('parked')
    .description('list parked keys: keys whose next event was rejected')
    .option('--json', 'print as JSON')
    .action(({ json }: { json?: boolean }) =>
      withRelay(async (relay) => {
        const parked = await relay.listParked();
        if (json) return console.log(JSON.stringify(parked, null, 2));
        if (parked.length === 0) return console.log('No keys are parked.');
        const rows = parked.map(({ key, parkedAt, waiting, retry, reason }) => [
          key,
          parkedAt,
          waiting,
          retry ? 'will be retried' : 'parked',
          reason,
        ]);
        console.log(table(['key', 'since', 'waiting', 'state', 'reason'], rows));
      }),
    );

  events
    .command('retry')
    .description('retry parked keys after their cause is fixed')
    .argument('[key]', 'a key listed by `events parked`')
    .option('--all', 'retry every parked key')
    .action((key: string | undefined, { all }: { all?: boolean }) =>
      withRelay(async (relay) => {
        if ((key === undefined) === (all === undefined))
          throw new Error(
            'Nothing was retried.\n  why:  the command takes either one key or --all\n  do:   list the keys with: npm run -s atlas -- events parked',
          );
        const count = await relay.retry(key?.toLowerCase() ?? null);
        if (count === 0)
          throw new Error(
            `Nothing was retried.\n  why:  ${key === undefined ? 'no keys are parked' : `the key ${key} is not parked`}\n  do:   list the keys with: npm run -s atlas -- events parked`,
          );
        console.log(`${plural(count, 'key')} will be retried. The relay needs a second or two.`);
      }),
    );
}

/** Returns the state of event delivery as lines of a name and a value, and a table of the consumers. */
export function statusText(status: Status): string {
  const { unsent, oldestAgeSeconds, holder, epoch, lastPosition, parkedKeys, parkedEvents, lags } = status;
  const backlog =
    unsent === 0 ? 'empty' : `${plural(unsent, 'row')}, the oldest waiting for ${age(oldestAgeSeconds ?? 0)}`;
  const lines = [
    `backlog      ${backlog}`,
    `sent         ${plural(lastPosition, 'event')}`,
    `stored       ${storedText(status)}`,
    `parked       ${parkedKeys === 0 ? 'no keys' : `${plural(parkedKeys, 'key')} with ${plural(parkedEvents, 'event')}; list them with: npm run -s atlas -- events parked`}`,
    `relay        ${holder === null ? 'not running' : `${holder}, epoch ${epoch}`}`,
  ];
  if (lags.length === 0) return [...lines, 'consumers    none yet'].join('\n');
  const rows = lags.map(({ consumer, lag }) => [
    consumer,
    lag ?? 'Kafka is unavailable',
    deferredText(status.deferred.find((of) => of.consumer === consumer)),
  ]);
  return [...lines, '', table(['consumer', 'lag', 'deferred'], rows)].join('\n');
}

/** Whether an event is stored a day past its retention because it was not read. The last event always stays. */
export function isOverdue({ storedSeconds, retentionDays, oldestUnreadBy, consumers }: Status): boolean {
  const isUnread = oldestUnreadBy !== null || consumers.length === 0;
  return isUnread && (storedSeconds ?? 0) > (retentionDays + 1) * DAY_SECONDS;
}

function storedText(status: Status): string {
  const { storedSeconds, retentionDays, oldestUnreadBy } = status;
  if (storedSeconds === null) return 'no events';
  const stored = `the oldest is ${plural(Math.floor(storedSeconds / DAY_SECONDS), 'day')} old`;
  if (!isOverdue(status)) return `${stored}; they expire after ${plural(retentionDays, 'day')}`;
  return `${stored} instead of ${retentionDays}: ${oldestUnreadBy ?? 'no consumer'} has not read it`;
}

/** Events that a consumer handles later, so that those of their owners do not delay those of others. */
function deferredText(deferred: Status['deferred'][number] | undefined): string {
  if (deferred === undefined) return 'none';
  const { events, owners, oldestAgeSeconds } = deferred;
  return `${plural(events, 'event')} of ${plural(owners, 'owner')}, for up to ${age(oldestAgeSeconds)}`;
}

function age(seconds: number): string {
  if (seconds < 1) return 'less than a second';
  return seconds < 120 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}
