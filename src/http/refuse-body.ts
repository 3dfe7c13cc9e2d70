import { AtlasError } from '../errors.ts';

/**
 * Throws `invalid_request` if the request has a body in chunks. A route that streams its response calls it: nothing
 * reads such a body, so it may arrive, and cost CPU time, for as long as the response takes.
 */
export function refuseBody({ headers }: Request): void {
  if (!headers.has('transfer-encoding')) return;
  throw new AtlasError(
    'invalid_request',
    'The response is a stream, and the request has a body; see `errors`.',
    {
      errors: [{ pointer: '/headers/Transfer-Encoding', detail: 'must be absent: send no body' }],
    },
  );
}
