/** What the record of a stored response belongs to. */
export const responseContext = (id: string) => ({ purpose: 'idempotent response', id });
