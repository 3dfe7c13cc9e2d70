import { openPostgres, type Sql } from '../../src/adapters/postgres/postgres.ts';
import { freshDatabase } from '../support/database.ts';
import { SECRETS_KEY } from '../support/secrets-key.ts';
import { startReceiver, type WebhookReceiver } from '../support/webhook-receiver.ts';
import { type AtlasProcess, makeFolder, removeFolder, startAtlas } from './atlas-process.ts';

/** Hosts that share a database and send webhooks to one receiver. */
export interface WebhookHosts {
  readonly sql: Sql;
  readonly receiver: WebhookReceiver;
  start(workers: number): Promise<AtlasProcess>;
  /** Kills all hosts, and removes what they had. */
  end(): Promise<void>;
}

/** Prepares a database and a receiver. `settings` are those of every host. */
export async function openWebhookHosts(settings: Record<string, string> = {}): Promise<WebhookHosts> {
  const folders: string[] = [];
  const hosts: AtlasProcess[] = [];
  const databaseUrl = await freshDatabase();
  const sql = openPostgres({ url: databaseUrl, connectionsMax: 1, timeoutSeconds: 10 });
  const receiver = startReceiver();
  return {
    sql,
    receiver,
    async start(workers) {
      const folder = await makeFolder();
      folders.push(folder);
      const host = await startAtlas(folder, {
        DATABASE_URL: databaseUrl,
        API_WORKERS: String(workers),
        ENVIRONMENT: 'staging',
        WEBHOOKS_ALLOWED_HOSTS: '127.0.0.1',
        SECRETS_KEY,
        ...settings,
      });
      hosts.push(host);
      return host;
    },
    async end() {
      await Promise.all(hosts.map((host) => host.end('SIGKILL')));
      await receiver.stop();
      await sql.end();
      for (const folder of folders) await removeFolder(folder);
    },
  };
}

/** Returns the process IDs of the workers, by slot. */
export async function workersOf(host: AtlasProcess): Promise<number[]> {
  return (await host.status()).slots.flatMap(({ worker }) => worker?.pid ?? []);
}
