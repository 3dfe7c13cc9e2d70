/** An operation that changes something, as the audit log sees it. */
export interface Change {
  /** The entries that it writes, by action. */
  readonly actions: readonly string[];
  /** Why there is none. */
  readonly reason?: string;
  /** Prepares the request and returns what sends it; for creates, their case does. */
  readonly prepare?: () => Promise<() => Promise<Response>>;
}
