import { collectDefaultMetrics, Registry } from 'prom-client';

const PREFIX = 'atlas_';

/** Creates the registry behind `/metrics`, with the metrics of the process. Stats are read at scrape time. */
export function createMetrics(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: PREFIX });
  // Heap spaces of V8 mean nothing on JavaScriptCore, and computing them walks the whole heap and blocks the loop
  // (45 ms for a million objects).
  for (const kind of ['total', 'used', 'available'])
    registry.removeSingleMetric(`${PREFIX}nodejs_heap_space_size_${kind}_bytes`);
  return registry;
}
