// Tested by test/cli/connect/command.slow.test.ts.
import type { ReportingWebhook } from '../../customerio/reporting-webhooks.ts'
import type { WebhookCheck } from '../../tools/connect/check.ts'
import { type Difference, type WantedWebhook, wantedNames } from '../../tools/connect/differences.ts'
import { shownEndpoint } from '../../tools/connect/endpoint.ts'
import type { WebhookPlan } from '../../tools/connect/plan.ts'
import type { Verification } from '../../tools/connect/wait-for-delivery.ts'
import { table } from '../table.ts'
import { terminalSafe, wrap } from '../terminal.ts'

const WIDTH = 100

/** What is going to be done, before it is done. */
export function planText(plan: WebhookPlan, wanted: WantedWebhook): string {
  switch (plan.action) {
    case 'create':
      return createText(wanted, plan.similar)
    case 'none':
      return `The webhook ${nameOf(plan.webhook)} is as it should be.\n`
    case 'change':
      return [
        `The webhook ${nameOf(plan.webhook)} differs:\n`,
        ...plan.differences.map(difference => bullet(differenceText(difference)))
      ].join('')
    case 'choose':
      return [
        `Several webhooks post to ${wanted.endpoint}, so each event comes several times:\n`,
        ...plan.webhooks.map(webhook => bullet(nameOf(webhook))),
        'Disable or delete all but one at Customer.io, or choose one with --webhook ID.\n'
      ].join('')
    case 'no_such_webhook':
      return ''
  }
}

function createText(wanted: WantedWebhook, similar: readonly ReportingWebhook[]): string {
  const names = wantedNames(wanted.events)
  const which = wanted.events === undefined ? `all ${names.length} event types` : names.join(', ')
  const lines = [
    `No webhook posts to ${wanted.endpoint} yet. A new one sends there:\n`,
    bullet(which),
    bullet('every open and click (full_resolution on)'),
    bullet('no message bodies (with_content off)')
  ]
  const others = similar.map(webhook =>
    bullet(
      `${nameOf(webhook)} posts to ${shownEndpoint(webhook.endpoint)}: to move it instead, add --webhook ${webhook.id}`
    )
  )
  return [...lines, ...(others.length === 0 ? [] : ['Similar webhooks exist:\n', ...others])].join('')
}

function differenceText(difference: Difference): string {
  switch (difference.kind) {
    case 'endpoint':
      return `it posts to ${shownEndpoint(difference.is)}, not to ${difference.wanted}`
    case 'disabled':
      return 'it is disabled: events of this time are lost'
    case 'missing_events':
      return `it does not send ${difference.events.join(', ')}`
    case 'first_only':
      return 'full_resolution is off, so only first opens and clicks arrive'
    case 'with_content':
      return 'body content is on: whole messages are sent, only to be removed here'
  }
}

export function verificationText(verification: Verification, waitSeconds: number): string {
  if (verification.outcome === 'received') {
    const { answer, key, type } = verification
    return `A delivery arrived: ${answer}${type === undefined ? '' : `, ${type}`}${key === undefined ? '' : `, signed with the key ${key}`}.\n`
  }
  if (verification.outcome === 'unknown_key') {
    const sender = verification.fromListedAddress
      ? 'An address of Customer.io'
      : 'An address that is not listed'
    return `${sender} sent a delivery with a signature that matches no key: compare the signing key with the one that Customer.io shows beside the webhook (connect --key), and check that no proxy changes the body.\n`
  }
  return `No delivery arrived within ${waitSeconds} s. Send yourself a message at Customer.io; cio-webhook doctor checks the way to this service.\n`
}

export function statusText(checks: readonly WebhookCheck[]): string {
  const problems = checks.flatMap(({ source, problem, differences }) => [
    ...(problem === undefined ? [] : wrap(`${source}: ${problem}`, WIDTH)),
    ...differences.map(difference => `  - ${terminalSafe(differenceText(difference))}`)
  ])
  const rows = table(checks, [
    { heading: 'SOURCE', value: ({ source }) => source },
    { heading: 'WEBHOOK', value: ({ webhook }) => webhook },
    { heading: 'STATE', value: ({ state }) => state },
    { heading: 'ENDPOINT', value: ({ endpoint }) => endpoint }
  ])
  return problems.length === 0 ? rows : `${rows}\n${problems.join('\n')}\n`
}

export const unconfiguredText = (sources: readonly string[]): string =>
  `not checked: ${terminalSafe(sources.join(', '))}; no source of this name is configured here: was it removed, or is CIO_SOURCES_FILE not set as for the service?\n`

const nameOf = ({ id, name }: ReportingWebhook): string =>
  name === '' ? String(id) : `${id} (${terminalSafe(name)})`

const bullet = (text: string): string => `  - ${terminalSafe(text)}\n`
