import type { Registry } from 'prom-client';
import type { z } from 'zod';
import type { CacheAsideStats } from '../adapters/cache/cache-aside.ts';
import type { ProblemKinds } from '../http/problem-kind.ts';
import type { RouteTable } from '../http/route.ts';
import type { BackgroundLoop } from '../resilience/background-loops.ts';
import type { ResourceTraits } from '../shedding/adaptive-limit.ts';
import type { EventKind } from './event-kind.ts';

/** What a feature declares before anything is opened. `src/features.ts` composes the tables of all features from it. */
export interface FeatureDeclaration {
  /** OpenAPI tags of its routes, in the order the docs show them. */
  readonly tags: readonly string[];
  /** Scopes that its routes require, with what each allows. */
  readonly scopes: Readonly<Record<string, string>>;
  readonly problems: ProblemKinds;
  readonly eventTypes: Readonly<Record<string, EventKind>>;
  /** Settings that only this feature reads: see `src/utils/setting-types.ts`. */
  readonly settings: z.ZodRawShape;
}

/** Work that a server repeats beside serving requests. */
export interface Job {
  readonly name: string;
  /**
   * `each` worker, for what it holds in memory: it also runs when the worker ends. Or `one` worker of each host, for what
   * is shared.
   */
  readonly by: 'each' | 'one';
  readonly everyMs: number;
  run(): Promise<unknown>;
}

/** What the app has to offer to routes that describe it. */
export interface House {
  readonly registry: Registry;
  openApi(): object;
}

/** What a feature gives the house once it is built. Its services are members beside these. */
export interface Feature {
  /** Mounts its routes. */
  mount(routes: RouteTable, house: House): void;
  /** Registers its metrics. Values are read at scrape time. */
  metrics?(registry: Registry): void;
  /** Loops that one worker of each host keeps running. */
  readonly loops?: readonly BackgroundLoop[];
  readonly jobs?: readonly Job[];
  /** What reads through the cache, for the cache metrics. */
  readonly caches?: readonly { readonly name: string; readonly stats: CacheAsideStats }[];
  /** What load shedding should know of the resources that its routes name. */
  readonly shedding?: Readonly<Record<string, ResourceTraits>>;
}

/** Merges the tables of several features. Throws when two of them declare the same name. */
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

/** The settings of several features as one shape, each under its name. */
export type SettingsOf<D extends readonly FeatureDeclaration[]> = UnionToIntersection<D[number]['settings']>;
