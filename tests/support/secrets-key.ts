/** A key for secrets, without which servers that are not in development store none. */
export const SECRETS_KEY = Buffer.from('the secrets of tests, 32 bytes:)').toString('base64');
