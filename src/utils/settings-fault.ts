const WHY = '\n  why:';

/**
 * Returns what failed, why, and what to do if a service cannot be used until somebody changes something, which is the
 * `remedy`, or said by the error itself. Null if the service may only be unavailable for now.
 */
export function settingsFault(service: string, error: unknown, remedy: string | null): string | null {
  const message = error instanceof Error ? error.message : String(error);
  if (message.includes(WHY)) return message;
  if (remedy === null) return null;
  return `${service} cannot be used with these settings.${WHY}  ${message}\n  do:   ${remedy}`;
}
