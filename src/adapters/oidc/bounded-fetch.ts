const BODY_BYTES_MAX = 1_048_576;

/** A response that is not one of an OpenID Connect provider: too long, or a redirect. */
export class UnusableResponse extends Error {}

/**
 * `fetch` for calls to a provider: it follows no redirect, so nothing is sent to another place than the one that was
 * checked, and reads at most 1 MiB, decompressed.
 */
export async function boundedFetch(url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, { ...init, redirect: 'manual' });
  const { status, headers, body } = response;
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of body ?? []) {
    sizeBytes += chunk.length;
    // Leaving the loop cancels the rest.
    if (sizeBytes > BODY_BYTES_MAX) throw new UnusableResponse(`${new URL(url).host} sent more than 1 MiB.`);
    chunks.push(chunk);
  }
  if (status >= 300 && status < 400) throw new UnusableResponse(`${new URL(url).host} redirects elsewhere.`);
  if (status >= 500) throw new UnusableResponse(`${new URL(url).host} responded with ${status}.`);
  return new Response(Buffer.concat(chunks), { status, headers });
}
