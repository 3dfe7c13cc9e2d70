import type { Registry } from 'prom-client';
import type { z } from 'zod';
import type { CacheAsideStats } from '../adapters/cache/cache-aside.ts';
import type { ProblemKinds } from '../http/problem-kind.ts';
import type { RouteTable } from '../http/route.ts';
import type { BackgroundLoop } from '../resilience/background-loops.ts';
import type { ResourceTraits } from '../shedding/resource-traits.ts';
import type { EventKind } from './event-kind.ts';
import type { StoredSecrets } from './stored-secrets.ts';

/** What a feature declares statically. `src/features.ts` composes the tables of all features from the declarations. */
export interface FeatureDeclaration {
  /** OpenAPI tags of its routes, in the order of the docs. */
  readonly tags: readonly string[];
  /** Scopes that its routes require, each with a description. */
  readonly scopes: Readonly<Record<string, string>>;
  readonly problems: ProblemKinds;
  readonly eventTypes: Readonly<Record<string, EventKind>>;
  /** Settings that only this feature reads, built with `src/utils/setting-types.ts`. */
  readonly settings: z.ZodRawShape;
}

/** Periodic background work of a server. */
export interface Job {
  readonly name: string;
  /**
   * `each`: every worker runs it, also at shutdown, for state in its memory. `one`: one worker per host runs it, for
   * shared state.
   */
  readonly by: 'each' | 'one';
  readonly everyMs: number;
  run(): Promise<unknown>;
}

/** What routes that describe the app itself need from it. */
export interface AppInfo {
  readonly registry: Registry;
  openApi(): object;
}

/** What a feature provides to the app. A feature also exposes its services as further members. */
export interface Feature {
  /** Mounts its routes. */
  mount(routes: RouteTable, app: AppInfo): void;
  /** Registers its metrics. Values are read at scrape time. */
  metrics?(registry: Registry): void;
  /** Reads what its first requests need, before a worker serves. They wait for it if it fails. */
  prepare?(): Promise<unknown>;
  /** Creates its demo data. Repeating it changes nothing. */
  seed?(): Promise<void>;
  /** Loops that one worker per host keeps running. */
  readonly loops?: readonly BackgroundLoop[];
  readonly jobs?: readonly Job[];
  /** Secrets that it stores, to be sealed. */
  readonly secrets?: readonly StoredSecrets[];
  /** Its cache-aside readers, for the cache metrics. */
  readonly caches?: readonly { readonly name: string; readonly stats: CacheAsideStats }[];
  /** Traits of the resources that its routes name, for load shedding. */
  readonly shedding?: Readonly<Record<string, ResourceTraits>>;
}

/** Merges the tables of several features. Throws if two of them declare the same name. */
export function mergeTables<T>(
  ...tables: readonly Readonly<Record<string, T>>[]
): Readonly<Record<string, T>> {
  const merged: Record<string, T> = {};
  for (const [name, value] of tables.flatMap((table) => Object.entries(table))) {
    if (Object.hasOwn(merged, name)) throw new Error(`Two features declare ${name}.`);
    merged[name] = value;
  }
  return merged;
}

type UnionToIntersection<U> = (U extends unknown ? (member: U) => void : never) extends (all: infer I) => void
  ? I
  : never;

/** The values of a feature's settings. */
export type SettingValues<S extends z.ZodRawShape> = z.output<z.ZodObject<S>>;

/** The settings of several features as one shape. */
export type SettingsOf<D extends readonly FeatureDeclaration[]> = UnionToIntersection<D[number]['settings']>;
