import { z } from '@hono/zod-openapi';
import { AmountSchema, MetadataSchema } from '../../http/schemas.ts';
import { ReferenceSchema } from './transfer-schema.ts';

/** What a reversal with `force` requires besides the scope of its route. */
export const FORCE_SCOPE = 'transfers:force';

export const ReversalSchema = z
  .strictObject({
    amount: AmountSchema.nullish().openapi({ description: 'What to reverse; all that is left by default.' }),
    force: z
      .boolean()
      .nullish()
      .openapi({
        description: `Whether to reverse even if what is available does not cover it; false by default. Requires the scope ${FORCE_SCOPE}.`,
      }),
    reference: ReferenceSchema.nullish(),
    metadata: MetadataSchema.nullish(),
  })
  .openapi('Reversal');
