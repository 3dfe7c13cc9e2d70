import type { Command } from 'commander';
import { commandActor } from '../features/actor.ts';
import type { Organization } from '../features/identity/organizations/repository.ts';
import type { OrganizationService } from '../features/identity/organizations/service.ts';
import { table } from './output.ts';
import type { WithService } from './session.ts';

const PAGE = 1000;

export function addOrganizationsCommand(
  program: Command,
  withOrganizations: WithService<OrganizationService>,
): void {
  const organizations = program
    .command('organizations')
    .description('list organizations, suspend and reinstate them');

  organizations
    .command('list', { isDefault: true })
    .description('list all organizations')
    .option('--json', 'print as JSON')
    .action(({ json }: { json?: boolean }) =>
      withOrganizations(async (service) => {
        const found = await listAll(service);
        if (json) return console.log(JSON.stringify(found, null, 2));
        const minute = (date: Date) => date.toISOString().slice(0, 16).replace('T', ' ');
        const rows = found.map(({ id, name, createdAt, suspendedAt }) => [
          id,
          name,
          minute(createdAt),
          suspendedAt === null ? 'active' : `suspended since ${minute(suspendedAt)}`,
        ]);
        console.log(table(['id', 'name', 'created', 'state'], rows));
      }),
    );

  organizations
    .command('suspend')
    .description('refuse all keys and sessions of an organization, within 5 s; its data stays')
    .argument('<id>', 'the ID from `organizations list`')
    .action((id: string) =>
      withOrganizations(async (service) => {
        await service.suspend(id, commandActor()).catch(explain);
        console.log(
          `Suspended ${id}. Let it in again with: npm run -s atlas -- organizations reinstate ${id}`,
        );
      }),
    );

  organizations
    .command('reinstate')
    .description('end the suspension of an organization, within 5 s')
    .argument('<id>', 'the ID from `organizations list`')
    .action((id: string) =>
      withOrganizations(async (service) => {
        await service.reinstate(id, commandActor()).catch(explain);
        console.log(`Reinstated ${id}.`);
      }),
    );
}

async function listAll(service: OrganizationService): Promise<Organization[]> {
  const found: Organization[] = [];
  let after: string | null = null;
  do {
    const { organizations, nextId } = await service.list(after, PAGE);
    found.push(...organizations);
    after = nextId;
  } while (after !== null);
  return found;
}

function explain(error: Error & { code?: string }): never {
  if (error.code !== 'organization_not_found') throw error;
  throw new Error(
    `Nothing was changed.\n  why:  ${error.message}\n  do:   list the IDs with: npm run -s atlas -- organizations list`,
  );
}
