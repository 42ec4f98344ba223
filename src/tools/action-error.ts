// Tested by test/cli/consumers/command.slow.test.ts.
import { ReportedError } from '../errors.ts'

/**
 * Why an action of an operator was refused before it did anything. `unknown`: nothing has this name or id. `invalid`:
 * it cannot be done with this kind of consumer, or the arguments are wrong. `needs_force`: it has consequences that the
 * operator must accept first. `busy`: another one is running.
 */
export type ActionRefusal = 'unknown' | 'invalid' | 'needs_force' | 'busy'

/** A refused action. The message says what to do instead. */
export class ActionError extends ReportedError {
  override readonly name = 'ActionError'
  readonly refusal: ActionRefusal

  constructor(refusal: ActionRefusal, message: string) {
    super(message)
    this.refusal = refusal
  }
}
