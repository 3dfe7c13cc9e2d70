import { z } from '@hono/zod-openapi';
import { describeIssue } from '../../../http/describe-issue.ts';
import { isTooLarge } from '../../../http/metadata-size.ts';
import {
  AmountSchema,
  LedgerSchema,
  MetadataSchema,
  TimeSchema,
  textSchema,
  UuidSchema,
} from '../../../http/schemas.ts';
import { AMOUNT_MINOR_MAX } from '../../../utils/money.ts';
import { FIXED_SIDES, RATE, ROUNDINGS } from '../exchange.ts';
import { HOLD_STATES } from '../hold.ts';
import { NewLimitSchema } from '../limit-schemas.ts';
import { NewTemplateSchema } from '../template-schemas.ts';
import { ReferenceSchema } from '../transfer-schema.ts';
import { type Fault, fault } from './fault.ts';

const BoundSchema = z.int().min(-AMOUNT_MINOR_MAX).max(AMOUNT_MINOR_MAX);
const CountSchema = z.int().min(0);
// As of what `POST /v1/accounts` and `PUT /v1/document-kinds/{kind}` take.
const NAME_LENGTH_MAX = 200;
const ORGANIZATION_LENGTH_MAX = 1000;
const ACCEPTED_MAX = 100;
const TITLE_LENGTH_MAX = 200;
const KindSchema = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, 'must be the name of a kind');
// As in the body of a request.
const DEPTH_MAX = 32;
const time = TimeSchema.transform((at) => at.toISOString());

const movement = {
  debitAccountId: UuidSchema,
  creditAccountId: UuidSchema,
  amount: AmountSchema,
  reference: ReferenceSchema.nullish(),
  metadata: MetadataSchema.nullish(),
};
const AccountLine = z.strictObject({
  type: z.literal('account'),
  id: UuidSchema,
  ledger: LedgerSchema,
  name: textSchema(NAME_LENGTH_MAX).nullish(),
  kind: z.enum(['asset', 'liability', 'equity', 'income', 'expense']).nullish(),
  allowNegative: z.boolean().nullish(),
  metadata: MetadataSchema.nullish(),
  acceptsFrom: z.array(textSchema(ORGANIZATION_LENGTH_MAX)).min(1).max(ACCEPTED_MAX).nullish(),
  acceptsUpTo: AmountSchema.nullish(),
  balanceMin: BoundSchema.max(0, 'must be at most 0, as a new account has 0').nullish(),
  parentId: UuidSchema.nullish(),
  // What an export adds for readers.
  isExternal: z.boolean().optional(),
  balance: z.int().optional(),
  createdAt: time.optional(),
});
const SettingsLine = z.strictObject({
  type: z.literal('accountSettings'),
  id: UuidSchema,
  balanceMin: BoundSchema.nullish(),
  balanceMax: BoundSchema.nullish(),
  debitsFrozen: z.boolean().default(false),
  creditsFrozen: z.boolean().default(false),
  isClosed: z.boolean().default(false),
  isOverdrawn: z.boolean().default(false),
});
const TransferLine = z.strictObject({
  type: z.literal('transfer'),
  id: UuidSchema.nullish(),
  ...movement,
  effectiveAt: time.nullish(),
  reversesId: UuidSchema.nullish(),
  holdId: UuidSchema.nullish(),
  ledger: LedgerSchema.optional(),
  createdAt: time.optional(),
});
const HoldLine = z.strictObject({
  type: z.literal('hold'),
  id: UuidSchema,
  ...movement,
  state: z.enum(HOLD_STATES).default('pending'),
  posted: CountSchema.default(0),
  expiresAt: time,
  ledger: LedgerSchema.optional(),
  createdAt: time.optional(),
  settledAt: time.nullish(),
});
const KindLine = z.strictObject({
  type: z.literal('documentKind'),
  kind: KindSchema,
  title: textSchema(TITLE_LENGTH_MAX).nullish(),
  schema: z.record(z.string(), z.unknown()),
  version: CountSchema.optional(),
});
const DocumentLine = z.strictObject({
  type: z.literal('document'),
  accountId: UuidSchema,
  kind: KindSchema,
  content: z.record(z.string(), z.unknown()),
  version: CountSchema.optional(),
});
const TemplateLine = z.strictObject({
  type: z.literal('accountTemplate'),
  name: KindSchema,
  ...NewTemplateSchema.shape,
  version: CountSchema.optional(),
});
const { name, ledger, accountIds, counts, countsInternal, maxima } = NewLimitSchema.shape;
const LimitLine = z.strictObject({
  type: z.literal('limit'),
  id: UuidSchema,
  ...{ name, ledger, accountIds, counts, countsInternal, maxima },
  setBy: z.enum(['organization', 'operator']).default('organization'),
  createdAt: time.optional(),
});
/** What two transfers were agreed on. They are lines of their own. */
const ExchangeLine = z.strictObject({
  type: z.literal('exchange'),
  id: UuidSchema,
  sourceTransferId: UuidSchema,
  targetTransferId: UuidSchema,
  debitAccountId: UuidSchema,
  sourceLiquidityAccountId: UuidSchema,
  targetLiquidityAccountId: UuidSchema,
  creditAccountId: UuidSchema,
  sourceLedger: LedgerSchema,
  targetLedger: LedgerSchema,
  sourceAmount: AmountSchema,
  targetAmount: AmountSchema,
  rate: z.string().regex(RATE, 'must be a decimal number'),
  rounding: z.enum(ROUNDINGS),
  fixedSide: z.enum(FIXED_SIDES),
  remainder: z.string(),
  createdAt: time,
});
const ExportLine = z.strictObject({
  type: z.literal('export'),
  version: z.literal(1),
  organization: z.string(),
  createdAt: time,
});
const EndLine = z.strictObject({ type: z.literal('end'), lines: CountSchema });

const LineSchema = z.discriminatedUnion(
  'type',
  [
    AccountLine,
    SettingsLine,
    TransferLine,
    HoldLine,
    TemplateLine,
    LimitLine,
    ExchangeLine,
    KindLine,
    DocumentLine,
    ExportLine,
    EndLine,
  ],
  { error: 'must be the type of a line, such as account or transfer' },
);

/** A valid line. */
export type Line = z.output<typeof LineSchema>;
export type LineOf<T extends Line['type']> = Extract<Line, { type: T }>;

/** Who imports, as far as it decides what a line may be. */
export interface LineRules {
  /** When the import was created: nothing takes effect later. */
  readonly createdAt: string;
  readonly hasDocuments: boolean;
}

/** Returns the line, or what is wrong with it. */
export function toLine(value: unknown, { createdAt, hasDocuments }: LineRules): Line | Fault {
  const read = LineSchema.safeParse(value, { error: describeIssue });
  if (!read.success) {
    const [issue] = read.error.issues;
    const unknown = issue?.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
    const member = [...(issue?.path ?? []), ...(unknown === undefined ? [] : [unknown])].join('.');
    return fault(member || null, unknown === undefined ? issue!.message : 'is not a member of such a line');
  }
  const line = read.data;
  if ('metadata' in line && line.metadata && isTooLarge(line.metadata))
    return fault('metadata', 'has more than 16384 bytes as compact JSON');
  if (line.type === 'transfer' && line.effectiveAt && line.effectiveAt > createdAt)
    return fault('effectiveAt', 'must not be later than the import');
  if (line.type === 'hold' && line.posted > line.amount) return fault('posted', 'must be at most the amount');
  if ((line.type === 'document' || line.type === 'documentKind') && isDeep(value, DEPTH_MAX))
    return fault(null, `is nested deeper than ${DEPTH_MAX} levels`);
  if (!hasDocuments && (line.type === 'document' || line.type === 'documentKind'))
    return fault('type', 'needs an import of a caller with documents:write and document-kinds:write');
  return line;
}

function isDeep(value: unknown, depthMax: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return depthMax === 0 || Object.values(value).some((member) => isDeep(member, depthMax - 1));
}
