/** What the process knows about its own lifecycle. */
export interface Lifecycle {
  /** Set when the process is asked to stop: it finishes what is in flight and should get no new requests. */
  draining: boolean;
}
