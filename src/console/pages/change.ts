// Tested by test/console/pages/consumers.slow.test.ts.
import type { FastifyRequest } from 'fastify'
import { ActionError, type ActionRefusal } from '../../tools/action-error.ts'
import type { Audit } from '../audit.ts'
import { ConsoleError } from '../console-error.ts'
import { type Html, html } from '../html.ts'

/** Writes the audit record of a change. @param target names and ids, never a payload */
export const recordChange = (
  audit: Audit,
  { person, ip }: FastifyRequest,
  action: string,
  target: string
): Promise<void> =>
  audit.record({ who: person?.name ?? '-', role: person?.role, action, target, address: ip })

const answers: Readonly<Record<ActionRefusal, readonly [status: number, title: string]>> = {
  unknown: [404, 'Not found'],
  invalid: [400, 'Not possible'],
  needs_force: [409, 'Not done']
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

/** The values of a field of a form that may be there several times, such as checked boxes. */
export function fields(body: unknown, name: string): readonly string[] {
  if (typeof body !== 'object' || body === null) return []
  const value: unknown = new Map(Object.entries(body)).get(name)
  return [value].flat().filter(one => typeof one === 'string')
}

export const isOperator = ({ person }: FastifyRequest): boolean => person?.role === 'operator'

/** What was done, above a page. */
export const doneMessage = (message: string | undefined): Html | undefined =>
  message === undefined ? undefined : html`<p class="done" role="status">${message}</p>`
