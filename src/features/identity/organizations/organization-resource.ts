import type { Organization } from './repository.ts';

/** An organization as it is returned. */
export type OrganizationResource = ReturnType<typeof toResource>;

/** Returns an organization as it is returned. */
export function toResource({ id, name, createdAt, suspendedAt }: Organization) {
  return {
    id,
    name,
    createdAt: createdAt.toISOString(),
    suspendedAt: suspendedAt?.toISOString() ?? null,
  };
}
