// No organization can be created with an ID that has a ~.
const OPERATORS = '~operators';
const PEOPLE = '~people';

/**
 * Returns who shares what is divided among owners. Most are one; operators are one together, and so are people who act
 * for no organization. Neither are strangers: operators act while others use up what there is.
 */
export function partyOf({ owner, kind }: { readonly owner: string; readonly kind: string }): string {
  if (owner !== '') return owner;
  return kind === 'operator' ? OPERATORS : PEOPLE;
}
