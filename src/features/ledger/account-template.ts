import type { AccountContent, AccountKind, Placement } from './account.ts';

/** The templates of an organization, and the accounts of a template. */
export const TEMPLATES_MAX = 100;
export const TEMPLATE_ACCOUNTS_MAX = 200;
/** The placeholders of a template, and how long a value for one may be. */
export const PLACEHOLDERS_MAX = 20;
export const VALUE_LENGTH_MAX = 200;

/** How long the name of an account may be, and a value of its metadata. */
const NAME_LENGTH_MAX = 200;
const METADATA_VALUE_LENGTH_MAX = 500;
const PLACEHOLDER = /\{([a-z][a-zA-Z0-9]{0,39})\}/g;

/** An account of a template. Its name and the values of its metadata may have placeholders, such as `{customer}`. */
export interface TemplateAccount extends AccountContent, Omit<Placement, 'parentId'> {
  /** Names the account within the template. */
  readonly ref: string;
  readonly name: string;
  /** The `ref` of an account before it; null for a root. */
  readonly parent: string | null;
}

/** A named chart of accounts. */
export interface AccountTemplate {
  readonly name: string;
  readonly title: string | null;
  /** Counts its changes. */
  readonly version: number;
  readonly accounts: readonly TemplateAccount[];
  readonly createdAt: string;
  readonly changedAt: string;
}

/** What a template is saved with. */
export type NewTemplate = Pick<AccountTemplate, 'name' | 'title' | 'accounts'>;

/** The body of a request that saves a template: what is null or left out is by default. */
export interface TemplateBody {
  readonly title?: string | null | undefined;
  readonly accounts: readonly {
    readonly ref: string;
    readonly name: string;
    readonly ledger: string;
    readonly kind?: AccountKind | null | undefined;
    readonly allowNegative?: boolean | null | undefined;
    readonly metadata?: Readonly<Record<string, string>> | null | undefined;
    readonly parent?: string | null | undefined;
    readonly balanceMin?: number | null | undefined;
    readonly balanceMax?: number | null | undefined;
  }[];
}

/** Returns the template that a body describes. */
export function toNewTemplate(name: string, { title, accounts }: TemplateBody): NewTemplate {
  return {
    name,
    title: title ?? null,
    accounts: accounts.map((account) => ({
      ref: account.ref,
      name: account.name,
      ledger: account.ledger,
      kind: account.kind ?? null,
      allowNegative: account.allowNegative ?? false,
      metadata: account.metadata ?? {},
      parent: account.parent ?? null,
      balanceMin: account.balanceMin ?? null,
      balanceMax: account.balanceMax ?? null,
    })),
  };
}

/** A template in a list. */
export interface TemplateSummary extends Omit<AccountTemplate, 'accounts'> {
  readonly accountCount: number;
}

/** Values for placeholders. */
export type Values = Readonly<Record<string, string>>;

/** An account that was opened from a template. */
export interface ChartAccount {
  readonly ref: string;
  readonly id: string;
  readonly name: string;
  readonly ledger: string;
  readonly parentId: string | null;
}

/** Accounts that were opened together. */
export interface Chart {
  readonly template: string;
  readonly templateVersion: number;
  readonly accounts: readonly ChartAccount[];
}

/** Returns the names of the placeholders in a template. */
export function placeholdersOf(
  accounts: readonly Pick<TemplateAccount, 'name' | 'metadata'>[],
): ReadonlySet<string> {
  const texts = accounts.flatMap(({ name, metadata }) => [name, ...Object.values(metadata)]);
  return new Set(texts.flatMap((text) => [...text.matchAll(PLACEHOLDER)].map(([, name]) => name!)));
}

/** What is wrong with a value: `at` is its name, or null if it is about all. */
export interface ValueFault {
  readonly at: string | null;
  readonly detail: string;
}

/** Returns what is wrong with the values for a template. */
export function faultsOf(accounts: readonly TemplateAccount[], values: Values): ValueFault[] {
  const wanted = placeholdersOf(accounts);
  const missing = [...wanted].filter((name) => !Object.hasOwn(values, name));
  const unknown = Object.keys(values).filter((name) => !wanted.has(name));
  const faults = [
    ...missing.map((name) => ({ at: name, detail: 'is required by the template' })),
    ...unknown.map((name) => ({ at: name, detail: 'is no placeholder of the template' })),
  ];
  if (faults.length > 0) return faults;
  return accounts.flatMap((account) => {
    const { name, metadata } = filled(account, values);
    const isLong =
      name.length > NAME_LENGTH_MAX ||
      Object.values(metadata).some((value) => value.length > METADATA_VALUE_LENGTH_MAX);
    if (!isLong) return [];
    const detail = `make the name of ${account.ref} longer than ${NAME_LENGTH_MAX} characters, or its metadata longer than ${METADATA_VALUE_LENGTH_MAX}`;
    return [{ at: null, detail }];
  });
}

/** Returns an account of a template with values in the place of its placeholders. */
export function filled(account: TemplateAccount, values: Values): TemplateAccount {
  const fill = (text: string) => text.replace(PLACEHOLDER, (_, name: string) => values[name]!);
  const metadata = Object.entries(account.metadata).map(([key, value]) => [key, fill(value)] as const);
  return { ...account, name: fill(account.name), metadata: Object.fromEntries(metadata) };
}
