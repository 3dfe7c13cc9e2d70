/** Who changes something: what an audit entry says about them. */
export interface Actor {
  readonly kind: 'key' | 'session' | 'user' | 'operator' | 'command' | 'system';
  /**
   * The public ID of a key or session, of a user without a session, the user and host of a command, or the part of
   * Atlas itself.
   */
  readonly id: string;
  /** Whose session it is. */
  readonly userId?: string;
  readonly requestId?: string;
  /** The address that the request came from. */
  readonly address?: string;
}

/** A change. Its texts and JSON must contain no secret. */
export interface Change {
  /** The kind of target and what was done to it, such as `webhook.updated`. */
  readonly action: string;
  readonly organization: string;
  readonly target: { readonly type: string; readonly id: string };
  readonly before?: object;
  readonly after?: object;
}
