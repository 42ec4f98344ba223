/** What stands where something was removed. */
export const REDACTED = '[REDACTED]'
