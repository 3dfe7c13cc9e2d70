#!/usr/bin/env bun
import { Command } from 'commander';
import { addAccountsCommand } from './cli/accounts.ts';
import { addAuditCommand } from './cli/audit.ts';
import { addConfigCommand } from './cli/config.ts';
import { addDemoCommand } from './cli/demo.ts';
import { addDocsCommand } from './cli/docs.ts';
import { addDoctorCommand } from './cli/doctor.ts';
import { addEventsCommand } from './cli/events.ts';
import { addExportCommand } from './cli/export.ts';
import { addFilesCommand } from './cli/files.ts';
import { addImportCommand } from './cli/import.ts';
import { addKeyCommand } from './cli/key.ts';
import { addExchangesCommand, addHoldsCommand, addLimitsCommand, addTransfersCommand } from './cli/ledger.ts';
import { addMigrateCommand } from './cli/migrate.ts';
import { addOrganizationsCommand } from './cli/organizations.ts';
import { fail } from './cli/output.ts';
import { addSecretsCommand } from './cli/secrets.ts';
import { addSeedCommand } from './cli/seed.ts';
import { addServeCommand } from './cli/serve.ts';
import { withService } from './cli/session.ts';
import { reportUnknownSettings } from './cli/settings-report.ts';
import { addStatementsCommand } from './cli/statements.ts';
import { addStatusCommand } from './cli/status.ts';
import { explainUnknownCommand } from './cli/unknown-command.ts';
import { addUsersCommand } from './cli/users.ts';
import { addVerifyCommand } from './cli/verify.ts';
import { addWorkerCommand } from './cli/worker.ts';
import { VERSION } from './version.ts';

const program = new Command('atlas')
  .description(
    'An HTTP API for accounts, transfers, events, webhooks, and files that keeps its promises under overload and failure.',
  )
  .version(VERSION)
  .addHelpText(
    'after',
    '\nSettings come from the environment and .env: see docs/settings.md, and `atlas config` for their values.',
  )
  .hook('preAction', (_, command) => reportUnknownSettings(command.name()));

addServeCommand(program);
addStatusCommand(program);
addWorkerCommand(program);
addMigrateCommand(program);
addSeedCommand(
  program,
  withService((features) => features),
);
addDoctorCommand(program);
addConfigCommand(program);
addKeyCommand(
  program,
  withService(({ identity }) => identity.keys),
);
addOrganizationsCommand(
  program,
  withService(({ identity }) => identity.organizations),
);
addUsersCommand(
  program,
  withService(({ identity }) => identity),
);
addEventsCommand(
  program,
  withService(({ events }) => events.relay),
);
addAccountsCommand(
  program,
  withService(({ ledger }) => ledger),
);
addTransfersCommand(
  program,
  withService(({ ledger }) => ledger),
);
addHoldsCommand(
  program,
  withService(({ ledger }) => ledger),
);
addLimitsCommand(
  program,
  withService(({ ledger }) => ledger),
);
addImportCommand(
  program,
  withService((features) => features),
);
addExportCommand(
  program,
  withService((features) => features),
);
addExchangesCommand(
  program,
  withService(({ ledger }) => ledger),
);
addStatementsCommand(
  program,
  withService(({ ledger }) => ledger),
);
addVerifyCommand(
  program,
  withService((features) => features),
);
addFilesCommand(
  program,
  withService(({ files }) => files.service),
);
addAuditCommand(
  program,
  withService(({ audit }) => audit.sealing),
);
addSecretsCommand(program);
addDocsCommand(program);
addDemoCommand(program);

const unknown = explainUnknownCommand(program, process.argv.slice(2));
if (unknown !== null) fail(unknown);

await program.parseAsync().catch(fail);
