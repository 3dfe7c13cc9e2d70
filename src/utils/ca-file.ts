import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

// A pool that is opened again must not fail because the file is being replaced at that moment.
const read = new Map<string, string>();

/**
 * Returns the certificate authorities in a PEM file, which is read once by each process. `setting` names the file in
 * errors. Throws an Error with a remedy if the file cannot be read, or has no valid certificate: the TLS library would
 * crash on it.
 */
export function readCaFile(path: string, setting: string): string {
  const known = read.get(path);
  if (known !== undefined) return known;
  const text = textOf(path, setting);
  const certificates = text.match(CERTIFICATE) ?? [];
  if (certificates.length === 0 || !certificates.every(isValid))
    throw problem(setting, `${path} has no valid certificate in PEM format`);
  const authorities = certificates.join('\n');
  read.set(path, authorities);
  return authorities;
}

function textOf(path: string, setting: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw problem(setting, (error as Error).message, error);
  }
}

function isValid(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== '';
  } catch {
    return false;
  }
}

function problem(setting: string, why: string, cause?: unknown): Error {
  return new Error(
    `The certificate authorities of ${setting} cannot be used.\n  why:  ${why}\n  do:   set ${setting} to a PEM file with the certificate of the authority, readable by the user that runs Atlas`,
    { cause },
  );
}
