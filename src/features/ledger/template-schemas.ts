import { z } from '@hono/zod-openapi';
import { cursorSchema } from '../../http/cursor.ts';
import {
  LedgerSchema,
  NextCursorSchema,
  nameSchema,
  pageQuerySchema,
  TimestampSchema,
  textSchema,
  UuidSchema,
} from '../../http/schemas.ts';
import { DEMO_TEMPLATES } from '../../utils/demo-data.ts';
import { ACCOUNT_KINDS, TREE_DEPTH_MAX } from './account.ts';
import { AccountNameSchema, CONTENT, LIMITS } from './account-schemas.ts';
import {
  PLACEHOLDERS_MAX,
  placeholdersOf,
  TEMPLATE_ACCOUNTS_MAX,
  VALUE_LENGTH_MAX,
} from './account-template.ts';

const TITLE_LENGTH_MAX = 200;
const NAME = /^[a-z][a-z0-9-]{0,62}$/;
const NAME_RULE = 'must be 1 to 63 lowercase letters, digits, and hyphens, and begin with a letter';
const PLACEHOLDER_NAME = /^[a-z][a-zA-Z0-9]{0,39}$/;

const RefSchema = z.string().regex(NAME, NAME_RULE).openapi({
  description: 'Names the account within the template.',
  example: 'cash',
});
const NamedSchema = z.string().regex(NAME, NAME_RULE).openapi({ example: DEMO_TEMPLATES.customer });

export const TemplateParamsSchema = z.object({ name: NamedSchema });
export const SpareParamsSchema = z.object({ name: NamedSchema.openapi({ example: DEMO_TEMPLATES.spare }) });

const PARENT = 'The `ref` of an account before it in the list, on the same ledger; null for a root.';
const NAME_OF_ACCOUNT = 'May have placeholders, such as `{customer}`. So may the values of `metadata`.';

const NewTemplateAccountSchema = z
  .strictObject({
    ref: RefSchema,
    name: AccountNameSchema.openapi({ description: NAME_OF_ACCOUNT }),
    ledger: LedgerSchema,
    ...CONTENT,
    parent: RefSchema.nullish().openapi({ description: PARENT }),
    ...LIMITS,
  })
  .openapi('NewTemplateAccount');
type NewTemplateAccount = z.infer<typeof NewTemplateAccountSchema>;

export const NewTemplateSchema = z
  .strictObject({
    title: nameSchema(TITLE_LENGTH_MAX).nullish(),
    accounts: z
      .array(NewTemplateAccountSchema)
      .min(1, 'must not be empty')
      .max(TEMPLATE_ACCOUNTS_MAX, `must have at most ${TEMPLATE_ACCOUNTS_MAX} items`)
      .superRefine(requireTrees),
  })
  .openapi('NewAccountTemplate');

/** A chart can always be opened: each parent comes before its children, and a new account has 0. */
function requireTrees(accounts: readonly NewTemplateAccount[], context: z.RefinementCtx): void {
  const known = new Map<string, { readonly ledger: string; readonly depth: number }>();
  const refuse = (message: string, ...path: (string | number)[]) =>
    context.addIssue({ code: 'custom', message, path });
  for (const [i, { ref, ledger, parent, balanceMin, balanceMax }] of accounts.entries()) {
    if (known.has(ref)) refuse('must be unique in the template', i, 'ref');
    const above = parent == null ? null : known.get(parent);
    if (above === undefined) refuse('must be the `ref` of an account before it', i, 'parent');
    else if (above && above.ledger !== ledger) refuse('must be on the same ledger', i, 'parent');
    const depth = (above?.depth ?? 0) + 1;
    if (depth > TREE_DEPTH_MAX) refuse(`must not be deeper than ${TREE_DEPTH_MAX} accounts`, i, 'parent');
    if ((balanceMin ?? 0) > 0) refuse('must be at most 0, as a new account has 0', i, 'balanceMin');
    if ((balanceMax ?? 0) < 0) refuse('must be at least 0, as a new account has 0', i, 'balanceMax');
    known.set(ref, { ledger, depth });
  }
  const named = accounts.map(({ name, metadata }) => ({ name, metadata: metadata ?? {} }));
  if (placeholdersOf(named).size > PLACEHOLDERS_MAX)
    refuse(`must have at most ${PLACEHOLDERS_MAX} different placeholders`);
}

const SUMMARY = {
  name: NamedSchema,
  title: z.string().nullable(),
  version: z.int().min(1).openapi({ description: 'Counts its changes.' }),
};
const TIMES = { createdAt: TimestampSchema, changedAt: TimestampSchema };

export const TemplateSchema = z
  .strictObject({
    ...SUMMARY,
    accounts: z.array(
      z
        .strictObject({
          ref: RefSchema,
          name: z.string().openapi({ description: NAME_OF_ACCOUNT }),
          ledger: LedgerSchema,
          kind: z.enum(ACCOUNT_KINDS).nullable(),
          allowNegative: z.boolean(),
          metadata: z.record(z.string(), z.string()),
          parent: RefSchema.nullable().openapi({ description: PARENT }),
          balanceMin: z.int().nullable(),
          balanceMax: z.int().nullable(),
        })
        .openapi('TemplateAccount'),
    ),
    ...TIMES,
  })
  .openapi('AccountTemplate');

export const TemplatePageSchema = z
  .strictObject({
    templates: z.array(
      z
        .strictObject({ ...SUMMARY, accountCount: z.int().min(1), ...TIMES })
        .openapi('AccountTemplateSummary'),
    ),
    nextCursor: NextCursorSchema,
  })
  .openapi('AccountTemplatePage');

export const TemplateQuerySchema = pageQuerySchema(
  cursorSchema(/^t[a-z][a-z0-9-]{0,62}$/, (text) => text.slice(1)),
);

export const NewChartSchema = z
  .strictObject({
    values: z
      .record(
        z.string().regex(PLACEHOLDER_NAME, 'must be the name of a placeholder'),
        textSchema(VALUE_LENGTH_MAX),
      )
      .refine(
        (values) => Object.keys(values).length <= PLACEHOLDERS_MAX,
        `must have at most ${PLACEHOLDERS_MAX} entries`,
      )
      .nullish()
      .openapi({ description: 'A value for each placeholder of the template, and no other.' }),
    parentId: UuidSchema.nullish().openapi({
      description: 'An account of yours that becomes the parent of all roots of the chart.',
    }),
  })
  .openapi('NewChart');

export const ChartSchema = z
  .strictObject({
    template: NamedSchema,
    templateVersion: z.int().min(1),
    accounts: z.array(
      z
        .strictObject({
          ref: RefSchema,
          id: UuidSchema,
          name: z.string(),
          ledger: LedgerSchema,
          parentId: UuidSchema.nullable(),
        })
        .openapi('ChartAccount'),
    ),
  })
  .openapi('Chart');
