// Tested by test/consume/errors.slow.test.ts.
/** The entry that an error is about. */
export interface ErrorContext {
  readonly partition: number
  readonly entryId: string
  readonly type: string
  readonly attempt: number
  /** Whether it is a dead letter now. Otherwise it is retried. */
  readonly dead: boolean
}

/** Attempts began, and none of them finished: the handler may be what ends the process. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError'
  readonly attempts: number

  constructor(attempts: number) {
    super(`${attempts} attempts began and none of them finished`)
    this.attempts = attempts
  }
}

/** An entry of the stream is not an event of this service. */
export class MalformedEntryError extends Error {
  override readonly name = 'MalformedEntryError'

  constructor() {
    super('not an event of this log')
  }
}

/** Entries were deleted from the stream before this group had acknowledged them, by XDEL or XTRIM from outside. */
export class EntriesDeletedError extends Error {
  override readonly name = 'EntriesDeletedError'
  readonly count: number

  constructor(count: number) {
    super(`${count} entries were deleted from the log before they were acknowledged`)
    this.count = count
  }
}
