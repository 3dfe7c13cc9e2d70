/**
 * Something that can be given up while others wait for it. It says less than an `AbortSignal` and costs a tenth: one
 * listener instead of an event target, for paths that every payment takes.
 */
export interface Abortable {
  /** Why it was given up, or null while it was not. Looks for a lost connection too. */
  readonly abortReason: { readonly kind: 'deadline' | 'disconnect' } | null;
  /** Called once when it is given up. There is one listener: whatever is being waited for now. */
  set onAbort(listener: (() => void) | null);
}
