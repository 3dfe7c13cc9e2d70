#!/usr/bin/env bun
import { Command } from 'commander';
import { addConfigCommand } from './cli/config.ts';
import { addDemoCommand } from './cli/demo.ts';
import { addDocsCommand } from './cli/docs.ts';
import { addDoctorCommand } from './cli/doctor.ts';
import { addEventsCommand } from './cli/events.ts';
import { addFilesCommand } from './cli/files.ts';
import { addKeyCommand } from './cli/key.ts';
import { addMigrateCommand } from './cli/migrate.ts';
import { fail } from './cli/output.ts';
import { addSeedCommand } from './cli/seed.ts';
import { addServeCommand } from './cli/serve.ts';
import { withService } from './cli/session.ts';
import { addStatusCommand } from './cli/status.ts';
import { addWorkerCommand } from './cli/worker.ts';
import { describeSettings } from './config.ts';
import { VERSION } from './version.ts';

const program = new Command('atlas')
  .description('A data-intensive application platform that keeps its promises under overload and failure.')
  .version(VERSION)
  .addHelpText('after', () => {
    const settings = describeSettings().map(({ name, description }) => `  ${name.padEnd(34)} ${description}`);
    return `\nSettings (environment or .env; \`atlas config\` shows their values):\n${settings.join('\n')}`;
  });

addServeCommand(program);
addStatusCommand(program);
addWorkerCommand(program);
addMigrateCommand(program);
addSeedCommand(
  program,
  withService(({ ledger }) => ledger),
);
addDoctorCommand(program);
addConfigCommand(program);
addKeyCommand(
  program,
  withService(({ identity }) => identity.keys),
);
addEventsCommand(
  program,
  withService(({ events }) => events.relay),
);
addFilesCommand(
  program,
  withService(({ files }) => files.service),
);
addDocsCommand(program);
addDemoCommand(program);

// A word that is no command would reach `serve`, the default, as an argument that it does not take.
const [word = ''] = process.argv.slice(2);
const names = program.commands.map((command) => command.name());
if (/^\w/.test(word) && ![...names, 'help'].includes(word))
  fail(`There is no command ${word}.\n  do:   run atlas --help, which lists all of them`);

await program.parseAsync().catch(fail);
