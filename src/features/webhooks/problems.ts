import type { ProblemKinds } from '../../http/problem-kind.ts';

/** Problems of webhooks and their deliveries. */
export const webhookProblems = {
  webhook_not_found: {
    status: 404,
    title: 'Webhook not found',
    cause: 'You have no webhook with this ID.',
    remedy: 'Check the ID. GET /v1/webhooks lists your webhooks.',
  },
  webhook_target_refused: {
    status: 422,
    title: 'Webhook target not allowed',
    cause: 'The URL is not https, or its host cannot be resolved or has an address that is not public.',
    remedy:
      'Use an https URL of a public host. The operator of this Atlas can allow other hosts with WEBHOOKS_ALLOWED_HOSTS.',
  },
  too_many_webhooks: {
    status: 422,
    title: 'Too many webhooks',
    cause:
      'You have reached the limit of 20 webhooks per owner, or have deleted 200 of them within about an hour.',
    remedy:
      'Change a webhook instead of replacing it: PATCH /v1/webhooks/{id}. Or delete one you no longer need; after many, wait for an hour.',
  },
  delivery_not_found: {
    status: 404,
    title: 'Delivery not found',
    cause: 'The webhook has no delivery with this ID, or the delivery is past its retention.',
    remedy: 'Check the ID. GET /v1/webhooks/{id}/deliveries lists the deliveries.',
  },
} as const satisfies ProblemKinds;

declare module '../../errors.ts' {
  interface ErrorCodes extends Record<keyof typeof webhookProblems, true> {}
}
