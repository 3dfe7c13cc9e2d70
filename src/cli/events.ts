import type { Command } from 'commander';
import type { RelayService } from '../features/events/relay/service.ts';
import { table } from './output.ts';
import type { WithService } from './session.ts';

type Status = Awaited<ReturnType<RelayService['status']>>;

export function addEventsCommand(program: Command, withRelay: WithService<RelayService>): void {
  const events = program.command('events').description('see how far events are, and mend keys that stopped');

  events
    .command('status', { isDefault: true })
    .description('show what waits to be sent, who sends, and how far each consumer is')
    .option('--json', 'print everything as JSON')
    .action(({ json }: { json?: boolean }) =>
      withRelay(async (relay) => {
        const status = await relay.status();
        console.log(json ? JSON.stringify(status, null, 2) : statusText(status));
      }),
    );

  events
    .command('parked')
    .description('list keys whose next event was refused for what it is')
    .option('--json', 'print everything as JSON')
    .action(({ json }: { json?: boolean }) =>
      withRelay(async (relay) => {
        const parked = await relay.listParked();
        if (json) return console.log(JSON.stringify(parked, null, 2));
        if (parked.length === 0) return console.log('No key is parked.');
        const rows = parked.map(({ key, parkedAt, waiting, retry, reason }) => [
          key,
          parkedAt,
          waiting,
          retry ? 'will be tried' : 'parked',
          reason,
        ]);
        console.log(table(['key', 'since', 'waiting', 'state', 'reason'], rows));
      }),
    );

  events
    .command('retry')
    .description('have parked keys tried again, once what was wrong is mended')
    .argument('[key]', 'a key that `events parked` lists')
    .option('--all', 'every parked key')
    .action((key: string | undefined, { all }: { all?: boolean }) =>
      withRelay(async (relay) => {
        if ((key === undefined) === (all === undefined))
          throw new Error(
            'Nothing was tried again.\n  why:  it takes one key, or --all\n  do:   see the keys with: npm run -s atlas -- events parked',
          );
        const count = await relay.retry(key ?? null);
        if (count === 0)
          throw new Error(
            `Nothing was tried again.\n  why:  ${key === undefined ? 'no key is parked' : `the key ${key} is not parked`}\n  do:   see the keys with: npm run -s atlas -- events parked`,
          );
        console.log(
          `${count} ${count === 1 ? 'key is' : 'keys are'} tried again within a second or two of the relay.`,
        );
      }),
    );
}

/** How far the events are, as lines of a name and a value, and a table of the consumers. */
export function statusText(status: Status): string {
  const { unsent, oldestAgeSeconds, holder, epoch, lastPosition, parkedKeys, parkedEvents, lags } = status;
  const waiting =
    unsent === 0 ? 'nothing' : `${many(unsent, 'row')}, the oldest for ${age(oldestAgeSeconds ?? 0)}`;
  const lines = [
    `to be sent   ${waiting}`,
    `sent         ${many(lastPosition, 'event')}`,
    `parked       ${parkedKeys === 0 ? 'no key' : `${many(parkedKeys, 'key')} with ${many(parkedEvents, 'event')}: see atlas events parked`}`,
    `relay        ${holder === null ? 'none works now' : `${holder}, epoch ${epoch}`}`,
  ];
  if (lags.length === 0) return [...lines, 'consumers    none so far'].join('\n');
  const rows = lags.map(({ consumer, lag }) => [consumer, lag ?? 'Kafka does not answer']);
  return [...lines, '', table(['consumer', 'behind'], rows)].join('\n');
}

function many(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function age(seconds: number): string {
  if (seconds < 1) return 'less than a second';
  return seconds < 120 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}
