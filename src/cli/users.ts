import { type Command, InvalidArgumentError, Option } from 'commander';
import { AtlasError } from '../errors.ts';
import { commandActor } from '../features/actor.ts';
import { normalizeEmail } from '../features/identity/email.ts';
import { peopleProblems } from '../features/identity/people-problems.ts';
import { identityProblems } from '../features/identity/problems.ts';
import { ROLES, type Role } from '../features/identity/roles.ts';
import type { UserAccessService } from '../features/identity/users/access/service.ts';
import type { Provision } from '../features/identity/users/provisioning.ts';
import { parseName } from './parse-name.ts';
import type { WithService } from './session.ts';

/** What the commands need of the users. */
export interface UserCommands {
  readonly access: UserAccessService;
  readonly provision: Provision;
}

interface CreateOptions {
  readonly organization: string;
  readonly role: Role;
  readonly name: string;
  readonly passwordStdin?: boolean;
}

const PASSWORD_BYTES_MAX = 4096;

/** `atlas users`: what an operator does on the host. */
export function addUsersCommand(program: Command, withUsers: WithService<UserCommands>): void {
  const users = program.command('users').description('create users, lock them out, and let them in again');
  addCreation(users, withUsers);

  users
    .command('lock')
    .description('end all sessions of a user, within 5 s, and let nobody sign in as them')
    .argument('<email>', 'the mail address of the user', parseEmail)
    .action((email: string) =>
      withUsers(async ({ access }) => {
        await access.lock(await idOf(access, email), commandActor());
        console.log(`Locked ${email} out. Let them in again with: npm run -s atlas -- users unlock ${email}`);
      }),
    );

  users
    .command('unlock')
    .description('let a user sign in again')
    .argument('<email>', 'the mail address of the user', parseEmail)
    .action((email: string) =>
      withUsers(async ({ access }) => {
        await access.unlock(await idOf(access, email), commandActor());
        console.log(`Unlocked ${email}. They can sign in again.`);
      }),
    );
}

function addCreation(users: Command, withUsers: WithService<UserCommands>): void {
  users
    .command('create')
    .description('create a user with a role in an organization, or give somebody who is a user the role')
    .argument('<email>', 'the mail address, which counts as confirmed', parseEmail)
    .requiredOption('--organization <id>', 'the ID from `organizations list`')
    .addOption(new Option('--role <role>', 'the role in it').choices([...ROLES]).default('owner'))
    .option('--name <text>', 'how to address the person', parseName, '')
    .option(
      '--password-stdin',
      'read the password from standard input, instead of printing a link to choose one',
    )
    .action(async (email: string, { organization, role, name, passwordStdin }: CreateOptions) => {
      const password = passwordStdin ? await readPassword() : null;
      await withUsers(async ({ provision }) => {
        const person = { email, name, organization, role, password };
        const { isNew, link } = await provision(person, commandActor()).catch(explain);
        const done = isNew
          ? `Created ${email}`
          : `${email} is a user already, whose password stays. They are now`;
        process.stderr.write(`${done}${isNew ? ',' : ''} ${role} of ${organization}.\n`);
        if (link === null) return;
        process.stderr.write('They choose a password here, within 30 minutes:\n');
        console.log(link);
      });
    });
}

async function readPassword(): Promise<string> {
  const text = await Bun.stdin.text();
  if (Buffer.byteLength(text) > PASSWORD_BYTES_MAX) throw new Error('The password is too long.');
  // That of `echo`.
  return text.replace(/\r?\n$/, '');
}

async function idOf(access: UserAccessService, email: string): Promise<string> {
  const user = await access.findByEmail(email);
  if (user !== null) return user.id;
  throw new Error(
    `Nothing was changed.\n  why:  nobody has the mail address ${email}\n  do:   check the address`,
  );
}

function explain(error: unknown): never {
  const problems: Readonly<Record<string, { readonly remedy: string }>> = {
    ...identityProblems,
    ...peopleProblems,
  };
  if (!(error instanceof AtlasError)) throw error;
  const remedy = error.remedy ?? problems[error.code]?.remedy ?? 'correct the command';
  throw new Error(`Nothing was changed.\n  why:  ${error.message}\n  do:   ${remedy}`);
}

function parseEmail(text: string): string {
  const email = normalizeEmail(text);
  if (email === null) throw new InvalidArgumentError('It must be a mail address, such as ada@example.com.');
  return email;
}
