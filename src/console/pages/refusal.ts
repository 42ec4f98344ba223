// Tested by test/console/pages/consumers.slow.test.ts.
import { ActionError, type ActionRefusal } from '../../tools/action-error.ts'
import { ConsoleError } from '../console-error.ts'

const answers: Readonly<Record<ActionRefusal, readonly [status: number, title: string]>> = {
  unknown: [404, 'Not found'],
  invalid: [400, 'Not possible'],
  needs_force: [409, 'Not done'],
  busy: [409, 'Not started']
}

/** Waits for an action. @throws ConsoleError if it was refused */
export async function unlessRefused<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof ActionError)) throw error
    const [status, title] = answers[error.refusal]
    throw new ConsoleError(status, title, `${error.message.replace(/\.$/, '')}.`)
  }
}
