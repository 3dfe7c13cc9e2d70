const TEST_SUFFIX = '~test';

/** The owner of the keys of operators, who belong to no organization: none can be created with such an ID. */
export const OPERATORS = '~operators';

/**
 * Returns the owner of what the test keys of an organization create. It is an owner like any other, so everything that
 * keeps owners apart keeps test and live data apart. No organization can be created with such an ID.
 */
export function testSpaceOf(organization: string): string {
  return organization + TEST_SUFFIX;
}

/** Returns the organization that an owner is the test space of; any other owner is one itself. */
export function liveSpaceOf(owner: string): string {
  return owner.endsWith(TEST_SUFFIX) ? owner.slice(0, -TEST_SUFFIX.length) : owner;
}

/** Returns the owner of what a user creates for no organization. None can be created with such an ID. */
export function personalSpaceOf(userId: string): string {
  return `~user:${userId}`;
}

/** Whether an organization must not have this ID, because it would own the data of test keys, or be the operators. */
export function isReservedId(organization: string): boolean {
  return organization.endsWith(TEST_SUFFIX) || organization === OPERATORS;
}

/** What the ID of a new organization must not be, for people. */
export const UNUSABLE_IDS =
  'the ID of a new one must not be blank, begin or end with a space, or contain ~ or a control character';

// A person must see what the ID is. The ~ is for what belongs to an organization, or to none.
const UNUSABLE = /^$|^[\s\p{Cf}]|[\s\p{Cf}]$|[~\p{Cc}\p{Zl}\p{Zp}]/u;

/** Whether a new organization may have this ID: see {@link UNUSABLE_IDS}. Those of earlier releases may have any. */
export function isNewOrganizationId(text: string): boolean {
  return !UNUSABLE.test(text);
}
