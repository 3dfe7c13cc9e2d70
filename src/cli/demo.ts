import { type Command, InvalidArgumentError } from 'commander';
import { mostSimilar } from '../utils/similar.ts';
import { FAULTS, type Fault } from './demo/faults.ts';
import { runDemo } from './demo/run-demo.ts';
import { table } from './output.ts';

const SECONDS = 5;
const SECONDS_MAX = 600;
const INTERRUPTED = 130;

export function addDemoCommand(program: Command): void {
  program
    .command('demo')
    .description(
      'start a separate Atlas, inject a fault under load, and report what clients saw and whether data was lost',
    )
    .option('--list', 'list the faults')
    .option('--fault <name>', 'fault to inject', parseFault)
    .option('--seconds <seconds>', 'how long the fault lasts', parseSeconds, SECONDS)
    .addHelpText('after', `\nFaults:\n${listText()}\n\nAny other Atlas on this machine is left alone.`)
    .action(async ({ list, fault, seconds }: { list?: boolean; fault?: Fault; seconds: number }) => {
      if (list || fault === undefined) return console.log(listText());
      const controller = new AbortController();
      const stop = () => controller.abort(new Error('The demo was interrupted.'));
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop);
      try {
        const promisesHeld = await runDemo(fault, {
          seconds,
          print: (line) => console.log(line),
          signal: controller.signal,
        });
        process.exit(promisesHeld ? 0 : 1);
      } catch (error) {
        if (controller.signal.aborted) process.exit(INTERRUPTED);
        throw error;
      }
    });
}

function listText(): string {
  const rows = FAULTS.map(({ name, description, services }) => [
    name,
    description,
    services.join(', ') || 'nothing',
  ]);
  return table(['fault', 'what happens', 'needs'], rows);
}

function parseFault(name: string): Fault {
  const fault = FAULTS.find((candidate) => candidate.name === name);
  if (fault) return fault;
  const names = FAULTS.map((allowed) => allowed.name);
  const meant = mostSimilar(name, names);
  throw new InvalidArgumentError(
    `${meant === null ? '' : `Did you mean ${meant}? `}Allowed: ${names.join(', ')}.`,
  );
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (Number.isInteger(seconds) && seconds >= 1 && seconds <= SECONDS_MAX) return seconds;
  throw new InvalidArgumentError(`It must be a whole number from 1 to ${SECONDS_MAX}.`);
}
