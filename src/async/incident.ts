/** Decides when a failure that lasts is reported: when it begins, when its cause changes, and once per minute. */
export interface Incident {
  /** @returns how long the failure has lasted, in milliseconds, if it is to be reported now */
  report(cause: string): number | undefined
  /** It is over. @returns how long it lasted, in milliseconds; `undefined` if nothing was reported */
  resolve(): number | undefined
}

const REPEAT_MS = 60_000

/** @param now a clock in milliseconds */
export function createIncident(now: () => number = () => performance.now()): Incident {
  /** By cause: causes can alternate, such as those of several nodes. */
  const reportedAtMs = new Map<string, number>()
  let sinceMs = 0
  return {
    report: cause => {
      const nowMs = now()
      if (reportedAtMs.size === 0) sinceMs = nowMs
      if (nowMs - (reportedAtMs.get(cause) ?? -Infinity) < REPEAT_MS) return undefined
      reportedAtMs.set(cause, nowMs)
      return nowMs - sinceMs
    },
    resolve: () => {
      if (reportedAtMs.size === 0) return undefined
      reportedAtMs.clear()
      return now() - sinceMs
    }
  }
}
