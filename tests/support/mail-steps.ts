import type { NewMail } from '../../src/features/identity/mail/domain.ts';
import type { TestApp } from './test-app.ts';

/** Enqueues a mail as a feature does, in a transaction of its own. */
export async function enqueueMail(
  { features, deps }: Pick<TestApp, 'features' | 'deps'>,
  changes: Partial<NewMail> = {},
): Promise<void> {
  const mail = {
    recipient: 'ada@example.com',
    organization: 'acme',
    subject: 'Confirm your address',
    text: 'https://atlas.test/confirm?token=secret',
    expiresAt: new Date(Date.now() + 3_600_000),
    ...changes,
  };
  await deps.database.transaction((tx) => features.identity.enqueueMail(tx, mail));
}

/** A row of `mails`. */
export interface StoredMail {
  readonly id: string;
  readonly recipient: string;
  readonly content: string | null;
  readonly state: string;
  readonly failure: string | null;
  readonly attempts: number;
  readonly tries: number;
}

/** Returns all mails, oldest first. */
export const storedMails = ({ sql }: Pick<TestApp, 'sql'>): Promise<StoredMail[]> =>
  sql<StoredMail[]>`
    SELECT id, recipient, content, state, failure, attempts, tries FROM mails ORDER BY id`.then((rows) => [
    ...rows,
  ]);

/** Keeps the sender of mails running until the returned function is called. */
export function runMails({ features }: Pick<TestApp, 'features'>): () => Promise<void> {
  const stop = new AbortController();
  const [sender] = features.identity.loops;
  const ended = sender!.run(stop.signal);
  return () => {
    stop.abort();
    return ended;
  };
}
