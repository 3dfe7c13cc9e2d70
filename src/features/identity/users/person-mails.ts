import { AtlasError } from '../../../errors.ts';
import type { EnqueueMail } from '../mail/service.ts';
import type { MailTo, Notice } from '../notice.ts';
import { makeOneTimeToken } from '../one-time-token.ts';
import type { TokenPurpose } from '../user.ts';
import { confirmationMail, knownAddressMail, passwordChangedMail, resetMail } from './mails.ts';
import type { Tx, UserRepository } from './repository.ts';

/**
 * The mails to people, sent if the transaction commits. Nobody may notice from outside whether an address is known, so
 * a recipient that has had too many gets none, silently: the latest one before still works.
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
  users: Pick<UserRepository, 'storeToken'>,
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

  return {
    async sendToken(tx, purpose, { id, email }) {
      const { token, hash } = makeOneTimeToken();
      const isSent = await enqueue(tx, TOKEN_MAILS[purpose]({ email, origin }, token));
      if (isSent) await users.storeToken(tx, id, purpose, hash);
    },
    async sendKnownAddress(tx, email) {
      await enqueue(tx, knownAddressMail({ email, origin }));
    },
    async sendPasswordChanged(tx, email) {
      await enqueue(tx, passwordChangedMail({ email, origin }));
    },
    async notify(tx, email, write) {
      await enqueue(tx, write({ email, origin }));
    },
  };
}
