import { AtlasError } from '../../../errors.ts';
import { type EnqueueMail, NOTICE_RECIPIENT_MAILS_MAX, TOKEN_RECIPIENT_MAILS_MAX } from '../mail/service.ts';
import type { MailTo, Notice } from '../notice.ts';
import { makeOneTimeToken } from '../one-time-token.ts';
import type { TokenPurpose } from '../user.ts';
import { confirmationMail, knownAddressMail, passwordChangedMail, resetMail } from './mails.ts';
import type { Tx, UserRepository } from './repository.ts';

/**
 * The mails to people, sent if the transaction commits. Nobody may notice from outside whether an address is known, so
 * a recipient that has had too many gets none, silently: the latest token before still works. What anybody can cause
 * never keeps a person from a token that works, or from learning what has happened to their account.
 */
export interface PersonMails {
  /** Sends a new token. The one before it stops working only if this one is sent. */
  sendToken(
    tx: Tx,
    purpose: TokenPurpose,
    user: { readonly id: string; readonly email: string },
  ): Promise<void>;
  sendKnownAddress(tx: Tx, email: string): Promise<void>;
  sendPasswordChanged(tx: Tx, email: string): Promise<void>;
  /** Says, too, which accounts at a provider sign the user in all the same. */
  sendPasswordReset(
    tx: Tx,
    email: string,
    identities: Parameters<typeof passwordChangedMail>[0],
  ): Promise<void>;
  /** Says what has happened to the user. */
  notify(tx: Tx, email: string, write: (to: MailTo) => Notice): Promise<void>;
}

const TOKEN_MAILS: Readonly<Record<TokenPurpose, (to: MailTo, token: string) => Parameters<EnqueueMail>[1]>> =
  {
    confirm_email: confirmationMail,
    reset_password: resetMail,
  };

export function createPersonMails(
  enqueueMail: EnqueueMail,
  users: Pick<UserRepository, 'hasToken' | 'storeToken'>,
  origin: string,
): PersonMails {
  /** Returns whether the mail will be sent. */
  async function enqueue(tx: Tx, mail: Parameters<EnqueueMail>[1]): Promise<boolean> {
    try {
      await enqueueMail(tx, mail);
      return true;
    } catch (error) {
      if (error instanceof AtlasError && error.code === 'too_many_mails') return false;
      throw error;
    }
  }

  async function notify(tx: Tx, email: string, write: (to: MailTo) => Notice): Promise<void> {
    await enqueue(tx, { ...write({ email, origin }), recipientMax: NOTICE_RECIPIENT_MAILS_MAX });
  }

  return {
    async sendToken(tx, purpose, { id, email }) {
      const { token, hash } = makeOneTimeToken();
      const isSpare = await users.hasToken(tx, id, purpose);
      const more = isSpare ? {} : { recipientMax: TOKEN_RECIPIENT_MAILS_MAX };
      const isSent = await enqueue(tx, { ...TOKEN_MAILS[purpose]({ email, origin }, token), ...more });
      if (isSent) await users.storeToken(tx, id, purpose, hash);
    },
    async sendKnownAddress(tx, email) {
      await enqueue(tx, knownAddressMail({ email, origin }));
    },
    sendPasswordChanged: (tx, email) => notify(tx, email, passwordChangedMail()),
    sendPasswordReset: (tx, email, identities) => notify(tx, email, passwordChangedMail(identities)),
    notify,
  };
}
