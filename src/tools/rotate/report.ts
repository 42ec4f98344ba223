// Tested by test/tools/rotate/track-key.slow.test.ts.
import { errorCode, ReportedError } from '../../errors.ts'
import { ReadOnlySecretError } from '../../settings/secrets/secret-handle.ts'

/** What a rotation did, for people and programs. Keys appear by their ids only. */
export interface RotationReport {
  /** `failed`: a check failed, or it is too early. `impossible`: a step could not be tried. */
  readonly outcome: 'done' | 'nothing_to_do' | 'would_do' | 'failed' | 'impossible'
  readonly steps: readonly Step[]
  /** What the operator does next, in order. */
  readonly next: readonly string[]
}

interface Step {
  readonly step: string
  readonly ok: boolean
  readonly detail: string
}

export const NOTHING_CHANGED = 'Nothing was changed.'

/** Ends a rotation at a step. Nothing was changed, or the change was undone. */
export class RotationStopped extends Error {
  readonly outcome: 'failed' | 'impossible'
  readonly next: readonly string[]

  constructor(outcome: 'failed' | 'impossible', detail: string, next: readonly string[]) {
    super(detail)
    this.name = 'RotationStopped'
    this.outcome = outcome
    this.next = next
  }
}

export interface Steps {
  /** Runs one step, which returns its result and its detail for the report. A step that throws ends the rotation. */
  run<T>(step: string, act: () => Promise<readonly [result: T, detail: string]>): Promise<T>
  done(outcome: 'done' | 'nothing_to_do' | 'would_do', next: readonly string[]): RotationReport
}

/** Runs the steps of `act`, and reports each one, also the one that failed. */
export async function reportSteps(act: (steps: Steps) => Promise<RotationReport>): Promise<RotationReport> {
  const steps: Step[] = []
  try {
    return await act({
      run: async (step, one) => {
        try {
          const [result, detail] = await one()
          steps.push({ step, ok: true, detail })
          return result
        } catch (error) {
          const stopped = asStopped(error)
          steps.push({ step, ok: false, detail: stopped.message })
          throw stopped
        }
      },
      done: (outcome, next) => ({ outcome, steps, next })
    })
  } catch (error) {
    if (!(error instanceof RotationStopped)) throw error
    return { outcome: error.outcome, steps, next: error.next }
  }
}

/** @throws the value itself if it is not an Error */
function asStopped(error: unknown): RotationStopped {
  if (error instanceof RotationStopped) return error
  if (error instanceof ReadOnlySecretError) {
    return new RotationStopped('impossible', error.message, [NOTHING_CHANGED])
  }
  if (!(error instanceof Error)) throw error
  const reason = error instanceof ReportedError ? error.message : (errorCode(error) ?? error.name)
  return new RotationStopped('impossible', `could not be done (${reason})`, [
    'Fix this and run the command again: steps that are done are not repeated.'
  ])
}
