import { AtlasError } from '../../../errors.ts';
import type { Exchange } from '../exchange.ts';
import type { ExchangeRepository } from './repository.ts';

/** Reads exchanges, which sets post. All throw `AtlasError`. */
export interface ExchangeService {
  find(owner: string, id: string, signal?: AbortSignal): Promise<Exchange>;
  findByTransfer(owner: string, transferId: string, signal?: AbortSignal): Promise<Exchange>;
  listByAccount: ExchangeRepository['listByAccount'];
}

export function createExchangeService(repository: ExchangeRepository): ExchangeService {
  return {
    async find(owner, id, signal) {
      const exchange = await repository.find(owner, id, signal);
      if (exchange === null) throw new AtlasError('exchange_not_found', `Exchange ${id} does not exist.`);
      return exchange;
    },
    async findByTransfer(owner, transferId, signal) {
      const exchange = await repository.findByTransfer(owner, transferId, signal);
      if (exchange === null)
        throw new AtlasError('exchange_not_found', `No exchange has the transfer ${transferId}.`);
      return exchange;
    },
    listByAccount: repository.listByAccount,
  };
}
