import { hosts, integer, meta } from '../../utils/setting-types.ts';

/** Which targets webhooks may have, and how long their deliveries are stored. */
export const webhookSettings = {
  WEBHOOKS_ALLOWED_HOSTS: hosts()
    .default([])
    .meta(
      meta(
        'Webhooks',
        'Hosts to which webhooks may be sent over plain http or at private addresses. Empty: public https only.',
      ),
    ),
  // The attempts of a delivery take 75 hours.
  WEBHOOKS_RETENTION_DAYS: integer(4, 36_500)
    .default(30)
    .meta(meta('Webhooks', 'Days that deliveries are stored, and can be read and replayed.')),
};
