import { hosts, meta } from '../../utils/setting-types.ts';

/** Which targets webhooks may have. */
export const webhookSettings = {
  WEBHOOKS_ALLOWED_HOSTS: hosts()
    .default([])
    .meta(
      meta(
        'Webhooks',
        'Hosts to which webhooks may be sent over plain http or at private addresses. Empty: public https only.',
      ),
    ),
};
