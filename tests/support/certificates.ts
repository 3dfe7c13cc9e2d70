import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAvailable } from './is-available.ts';

/** A certificate authority and a certificate that it issued, as PEM. */
export interface TestCertificate {
  readonly ca: string;
  readonly key: string;
  readonly cert: string;
}

/** Whether certificates can be issued here: `describe.if(canCertify())`. */
export function canCertify(): boolean {
  return isAvailable('OpenSSL', Bun.which('openssl'));
}

/** Writes the certificate into a folder, each part as a file of its own, and returns their paths. */
export async function writeCertificate(
  folder: string,
  { ca, key, cert }: TestCertificate,
): Promise<{ readonly caFile: string; readonly keyFile: string; readonly certFile: string }> {
  const files = {
    caFile: join(folder, 'ca.pem'),
    keyFile: join(folder, 'key.pem'),
    certFile: join(folder, 'cert.pem'),
  };
  await Promise.all([
    writeFile(files.caFile, ca),
    writeFile(files.keyFile, key),
    writeFile(files.certFile, cert),
  ]);
  return files;
}

/** Issues a certificate for the names with a new authority. Only clients that are given the authority trust it. */
export async function certify(names: readonly string[]): Promise<TestCertificate> {
  const folder = await mkdtemp(join(tmpdir(), 'atlas-test-tls-'));
  const openssl = async (...args: string[]) => {
    const { exited, stderr } = Bun.spawn(['openssl', ...args], {
      cwd: folder,
      stdout: 'ignore',
      stderr: 'pipe',
    });
    if ((await exited) !== 0) throw new Error(await new Response(stderr).text());
  };
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  try {
    await openssl(
      'req',
      '-x509',
      ...newKey,
      '-keyout',
      'ca.key',
      '-out',
      'ca.pem',
      '-subj',
      '/CN=Test',
      '-days',
      '2',
    );
    await openssl('req', ...newKey, '-keyout', 'key.pem', '-out', 'request.pem', '-subj', '/CN=Target');
    const alternatives = names
      .map((name) => (/^[\d.]+$/.test(name) ? `IP:${name}` : `DNS:${name}`))
      .join(',');
    await writeFile(join(folder, 'names'), `subjectAltName=${alternatives}`);
    const authority = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'];
    await openssl(
      'x509',
      '-req',
      '-in',
      'request.pem',
      ...authority,
      '-out',
      'cert.pem',
      '-days',
      '2',
      '-extfile',
      'names',
    );
    const [ca, key, cert] = await Promise.all(
      ['ca.pem', 'key.pem', 'cert.pem'].map((file) => readFile(join(folder, file), 'utf8')),
    );
    return { ca: ca!, key: key!, cert: cert! };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
