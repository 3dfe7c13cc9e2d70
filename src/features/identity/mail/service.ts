import { AtlasError } from '../../../errors.ts';
import type { Sealing } from '../../../utils/sealing.ts';
import { sealSecret } from '../../seal-secret.ts';
import {
  contentOf,
  mailContext,
  type NewMail,
  ORGANIZATION_MAILS_MAX,
  PENDING_MAILS_MAX,
  RECIPIENT_MAILS_MAX,
} from './domain.ts';
import type { MailRepository, Tx } from './repository.ts';

/**
 * Adds a mail to the outbox in the transaction of the change that it is about, so it is sent if and only if that
 * commits.
 *
 * Throws an `AtlasError` before anything is written: `too_many_mails` if the recipient or the organization got too many
 * in the last hour, `mail_queue_full` if too many are pending in all, `secrets_key_missing` outside of development
 * without `SECRETS_KEY`, `invalid_request` if the recipient is not one bare address. The transaction can go on after it,
 * so a caller whose response must not depend on whether an address is known catches `too_many_mails`.
 *
 * @example await enqueueMail(tx, { recipient, organization: '', subject: 'Confirm your address', text, expiresAt });
 */
export type EnqueueMail = (tx: Tx, mail: NewMail) => Promise<void>;

/** Mails that were refused since this process started, by limit. */
export type MailRefusals = Record<'recipient' | 'organization' | 'pending', number>;

/**
 * For the only token that a person can use, and for what they must learn about their account. Anybody can cause the
 * others, which must not keep these away.
 */
export const TOKEN_RECIPIENT_MAILS_MAX = 20;
export const NOTICE_RECIPIENT_MAILS_MAX = 40;

const QUEUE_RETRY_AFTER_SECONDS = 60;
const LIMITS = { ofOrganization: ORGANIZATION_MAILS_MAX, pending: PENDING_MAILS_MAX };

export function createEnqueueMail(
  repository: Pick<MailRepository, 'count' | 'insert'>,
  sealing: Sealing,
  refusals: MailRefusals,
): EnqueueMail {
  return async (tx, mail) => {
    const { recipient, organization, expiresAt, recipientMax = RECIPIENT_MAILS_MAX } = mail;
    const id = Bun.randomUUIDv7();
    const content = sealSecret(sealing, Buffer.from(JSON.stringify(contentOf(mail))), mailContext(id));
    const row = { id, recipient, organization, content, expiresAt };
    const counts = await repository.count(tx, row, { ...LIMITS, ofRecipient: recipientMax });
    if (counts.ofRecipient >= recipientMax) {
      refusals.recipient++;
      throw tooMany('to this address', counts.recipientFreeInSeconds);
    }
    if (organization !== '' && counts.ofOrganization >= ORGANIZATION_MAILS_MAX) {
      refusals.organization++;
      throw tooMany('on behalf of this organization', counts.organizationFreeInSeconds);
    }
    if (counts.pending >= PENDING_MAILS_MAX) {
      refusals.pending++;
      throw new AtlasError('mail_queue_full', 'Too many mails are waiting to be sent.', {
        retryAfterSeconds: QUEUE_RETRY_AFTER_SECONDS,
        remedy: 'Check that the mail server accepts mails: `atlas doctor`.',
      });
    }
    await repository.insert(tx, row);
  };
}

function tooMany(whose: string, freeInSeconds: number | null): AtlasError {
  return new AtlasError('too_many_mails', `Too many mails were sent ${whose} within the last hour.`, {
    retryAfterSeconds: Math.max(1, freeInSeconds ?? 1),
  });
}
