import type { Secret } from '../../secret.ts'

/** A token of Vault, and how long it is valid. */
export interface VaultLease {
  readonly token: Secret
  /** 0: it never expires. */
  readonly ttlMs: number
  readonly renewable: boolean
}

interface LeaseOptions {
  readonly logIn: () => Promise<VaultLease>
  readonly renew: (token: Secret) => Promise<VaultLease>
}

/** A token that is renewed while the process runs, and replaced once it cannot be renewed. */
export interface VaultToken {
  /** Logs in if there is no valid token. */
  get(): Promise<Secret>
  /** This token was refused: the next call logs in again. */
  drop(token: Secret): void
  close(): void
}

/** Renewed when a third of the time is left, as Vault Agent does. */
const RENEW_AFTER = 2 / 3
const MIN_DELAY_MS = 500
/** The longest delay of a timer of Node. */
const MAX_DELAY_MS = 2 ** 31 - 1

export function keepVaultToken({ logIn, renew }: LeaseOptions): VaultToken {
  let lease: VaultLease | undefined
  let loggingIn: Promise<VaultLease> | undefined
  let timer: NodeJS.Timeout | undefined
  let isClosed = false

  return {
    async get() {
      if (lease !== undefined) return lease.token
      loggingIn ??= firstLease().finally(() => {
        loggingIn = undefined
      })
      return (await loggingIn).token
    },
    drop(token) {
      if (lease?.token.equals(token)) forget()
    },
    close() {
      isClosed = true
      forget()
    }
  }

  function forget(): void {
    clearTimeout(timer)
    lease = undefined
  }

  async function firstLease(): Promise<VaultLease> {
    const first = await logIn()
    lease = first
    schedule(first, first.ttlMs, performance.now() + first.ttlMs)
    return first
  }

  /**
   * @param fullMs the time that a new token gets
   * @param expiresAt on the clock of `performance.now()`
   */
  function schedule(held: VaultLease, fullMs: number, expiresAt: number): void {
    clearTimeout(timer)
    if (held.ttlMs === 0 || isClosed) return
    const leftMs = expiresAt - performance.now()
    const delayMs = Math.min(Math.max(leftMs * RENEW_AFTER, MIN_DELAY_MS), MAX_DELAY_MS)
    // No process waits for this timer.
    timer = setTimeout(() => void prolong(held, fullMs, expiresAt), delayMs).unref()
  }

  /** Never rejects: while Vault cannot be reached, the token is tried again until it has expired. */
  async function prolong(held: VaultLease, fullMs: number, expiresAt: number): Promise<void> {
    const renewed = held.renewable ? await renew(held.token).catch(() => undefined) : undefined
    // Shorter than at first: it comes to the end of its maximum lifetime.
    const isNearEnd = renewed === undefined || renewed.ttlMs < fullMs / 2
    const replaced = isNearEnd ? await logIn().catch(() => undefined) : undefined
    const next = replaced ?? renewed
    // Meanwhile it was closed, or the token was dropped.
    if (isClosed || lease !== held) return
    if (next !== undefined) {
      lease = next
      schedule(next, replaced === undefined ? fullMs : next.ttlMs, performance.now() + next.ttlMs)
    } else if (performance.now() < expiresAt) schedule(held, fullMs, expiresAt)
    else forget()
  }
}
