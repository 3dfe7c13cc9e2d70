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
import { describeSetting } from './cli/settings-text.ts';
import { addStatusCommand } from './cli/status.ts';
import { addWorkerCommand } from './cli/worker.ts';
import { describeSettings } from './config.ts';
import { VERSION } from './version.ts';

const program = new Command('atlas')
  .description(
    'An HTTP API for accounts, transfers, events, webhooks, and files that keeps its promises under overload and failure.',
  )
  .version(VERSION)
  .addHelpText('after', () => {
    const settings = describeSettings().map(
      (setting) => `  ${setting.name.padEnd(34)} ${describeSetting(setting)}`,
    );
    return `\nSettings, from the environment or .env (\`atlas config\` shows their values):\n${settings.join('\n')}`;
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

// Commander would pass an unknown command to `serve`, the default, which rejects it as an excess argument.
const [given = ''] = process.argv.slice(2);
const names = program.commands.map((command) => command.name());
if (/^\w/.test(given) && ![...names, 'help'].includes(given))
  fail(
    `Unknown command: ${given}\n  why:  Atlas has no command of that name\n  do:   list the commands with: npm run -s atlas -- --help`,
  );

await program.parseAsync().catch(fail);
