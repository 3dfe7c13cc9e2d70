import { AtlasError } from '../errors.ts';
import type { DependencyOutages } from './dependency-outages.ts';
import type { Logger } from './logger.ts';

/** Logs that background work failed, with what it is. It will be tried again. */
export type ReportFailure = (err: unknown, text: string, fields?: Readonly<Record<string, unknown>>) => void;

/** Logs failures of background work. While a dependency is unavailable, those are part of its outage. */
export function backgroundLog(logger: Logger, outages: DependencyOutages): ReportFailure {
  return (err, text, fields = {}) => {
    if (err instanceof AtlasError && err.code === 'dependency_unavailable') outages.failed(err, 'background');
    else logger.warn({ err, ...fields }, text);
  };
}
