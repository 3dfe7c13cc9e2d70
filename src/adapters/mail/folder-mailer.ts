import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import MailComposer from 'nodemailer/lib/mail-composer';
import { AtlasError } from '../../errors.ts';
import { fileRemedy } from '../../utils/data-folder-error.ts';
import { type MailSender, maskAddress } from '../../utils/mail-address.ts';
import { requireRoom, requireWritable } from '../object-store/writable-folder.ts';
import type { Mail, Mailer } from './mailer.ts';
import { messageOf } from './message.ts';

export interface FolderMailerOptions {
  readonly dataDir: string;
  readonly from: MailSender;
  /** Called with a line for each mail, which says where it is. */
  readonly onWritten: (text: string) => void;
}

const FILES_MAX = 1000;

/**
 * Writes each mail to a file in `outbox` of the data folder, for a person to open, and logs where it is. A repeated mail
 * replaces its file. Only the newest files are kept.
 */
export function folderMailer({ dataDir, from, onWritten }: FolderMailerOptions): Mailer {
  const folder = join(dataDir, 'outbox');

  async function write(mail: Mail): Promise<void> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await requireRoom(folder);
    const bytes = await new MailComposer(messageOf(mail, from)).compile().build();
    const file = join(folder, fileNameOf(mail));
    const temporary = join(folder, `.${randomUUID()}`);
    try {
      // It may contain a token.
      await writeFile(temporary, bytes, { mode: 0o600, flag: 'wx' });
      await rename(temporary, file);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    onWritten(`mail to ${maskAddress(mail.recipient)}: ${mail.subject} → ${file}`);
  }

  return {
    mode: 'folder',
    where: folder,
    dependency: null,
    async send(mail, signal) {
      signal.throwIfAborted();
      await onDisk(folder, () => write(mail));
      // What is left over after a failure is deleted after the next mail.
      await forgetOldest(folder).catch(() => {});
    },
    async check() {
      const startMs = performance.now();
      await onDisk(folder, () => requireWritable(folder));
      return performance.now() - startMs;
    },
    close() {},
  };
}

/** Sorts by time. */
function fileNameOf({ id, createdAt }: Mail): string {
  return `${createdAt.toISOString().replaceAll(':', '-')}-${id}.eml`;
}

async function forgetOldest(folder: string): Promise<void> {
  const files = (await readdir(folder)).filter((name) => name.endsWith('.eml')).sort();
  for (const name of files.slice(0, -FILES_MAX)) await rm(join(folder, name), { force: true });
}

async function onDisk<T>(folder: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw new AtlasError('dependency_unavailable', `Mails cannot be written to ${folder}.`, {
      cause,
      remedy: `To send mails, set SMTP_URL. To write them: ${fileRemedy(cause)}.`,
    });
  }
}
