import { AtlasError } from '../../../errors.ts';
import type { Sealing } from '../../../utils/sealing.ts';
import type { Done, Idempotency, RequestIdentity, Tx } from '../../idempotency.ts';
import { openSecret, sealSecret } from '../../seal-secret.ts';
import { fingerprintOf, responseContext } from './domain.ts';
import type { IdempotencyRepository, StoredResponse } from './repository.ts';

const NO_KEY = 'The response is stored sealed, and this Atlas does not have its key.';

export function createIdempotency(repository: IdempotencyRepository, sealing: Sealing): Idempotency {
  const stats = { replays: 0 };

  function toRecord(result: object, id: string, { secretFor }: RequestIdentity): string {
    const text = JSON.stringify(result);
    return secretFor !== undefined ? sealSecret(sealing, Buffer.from(text), responseContext(id)) : text;
  }

  function replay<T>(found: StoredResponse, request: RequestIdentity): Done<T> {
    if (fingerprintOf(request.content, request.secretFor).compare(found.fingerprint) !== 0)
      throw reused(request);
    const { id, response } = found;
    const text =
      request.secretFor !== undefined
        ? openSecret(sealing, response, responseContext(id), NO_KEY).toString()
        : response;
    stats.replays++;
    return { result: JSON.parse(text) as T, replayed: true };
  }

  return {
    stats,
    async run<T extends object>(
      request: RequestIdentity,
      work: (tx?: Tx) => Promise<T>,
      signal?: AbortSignal,
    ): Promise<Done<T>> {
      const { owner, key, content, secretFor, seconds } = request;
      if (key === undefined) return { result: await work(), replayed: false };
      return repository.transaction(
        async (tx) => {
          const found = await repository.claim(tx, owner, key);
          if (found !== null) return replay<T>(found, request);
          const id = crypto.randomUUID();
          const result = await work(tx);
          const response = toRecord(result, id, request);
          const fingerprint = fingerprintOf(content, secretFor);
          await repository.store(tx, owner, key, { id, fingerprint, response, seconds });
          return { result, replayed: false };
        },
        { signal },
      );
    },
    async find<T extends object>(request: RequestIdentity, signal?: AbortSignal) {
      const { owner, key } = request;
      const found = key === undefined ? null : await repository.find(owner, key, signal);
      return found === null ? null : replay<T>(found, request);
    },
  };
}

function reused({ secretFor }: RequestIdentity): AtlasError {
  const another =
    secretFor === undefined ? '' : ', or by another API key or user, who alone gets its secret again';
  return new AtlasError(
    'idempotency_key_reused',
    `This Idempotency-Key was already used for a request with a different path or body${another}.`,
  );
}
