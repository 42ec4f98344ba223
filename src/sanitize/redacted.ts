/** Replaces a value that was removed. */
export const REDACTED = '[REDACTED]'
