import type { Database } from '../../adapters/postgres/database.ts';
import type { RouteTable } from '../../http/route.ts';
import type { Idempotency } from '../idempotency.ts';
import type { Searches } from '../searches.ts';
import type { AccountRepository } from './accounts/repository.ts';
import { mountAccounts } from './accounts/router.ts';
import { createAccountService } from './accounts/service.ts';
import { createReassignmentRepository } from './reassignment/repository.ts';
import { createReassignment } from './reassignment/service.ts';
import type { SearchService } from './search/service.ts';
import { createTemplateRepository } from './templates/repository.ts';
import { mountTemplates } from './templates/router.ts';
import { createTemplateService } from './templates/service.ts';
import { createTreeRepository } from './trees/repository.ts';
import { mountTrees } from './trees/router.ts';
import { createTreeService } from './trees/service.ts';

/** What opens and changes accounts, which moves no money. */
export type Book = ReturnType<typeof createBook>;

export function createBook(
  database: Database,
  repository: AccountRepository,
  idempotency: Idempotency,
  searches: Searches,
) {
  const accounts = createAccountService(repository, idempotency);
  return {
    accounts,
    reassignment: createReassignment(createReassignmentRepository(database)),
    templates: createTemplateService(createTemplateRepository(database), accounts, idempotency),
    trees: createTreeService(createTreeRepository(database), searches),
  };
}

export function mountBook(routes: RouteTable, book: Book, search: Pick<SearchService, 'accounts'>): void {
  mountAccounts(routes, book.accounts, search);
  mountTrees(routes, book.trees);
  mountTemplates(routes, book.templates);
}
