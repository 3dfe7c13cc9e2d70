/** Whose request it is. */
export interface SignalCaller {
  /** Null until it is known, and for strangers. */
  readonly principal: { readonly owner: string; readonly kind: string } | null;
  readonly clientAddress: string;
}

const callers = new WeakMap<AbortSignal, SignalCaller>();

/** Notes whose request a signal aborts, so that what is divided among callers need not be passed the caller as well. */
export function noteCaller(signal: AbortSignal, caller: SignalCaller): void {
  callers.set(signal, caller);
}

/** Returns whose request the signal aborts, or null if it is nobody's. */
export function callerOfSignal(signal: AbortSignal): SignalCaller | null {
  return callers.get(signal) ?? null;
}
