// Tested by test/cli/connect/command.slow.test.ts.

import { listReportingWebhooks, type ReportingWebhook } from '../../customerio/reporting-webhooks.ts'
import { Secret } from '../../secret.ts'
import { fixedSecret } from '../../settings/secrets/environment.ts'
import { signingKeyName } from '../../settings/sources.ts'
import { correctWebhook, createWebhook } from '../../tools/connect/carry-out.ts'
import { rememberConnection } from '../../tools/connect/connections.ts'
import { wantedNames } from '../../tools/connect/differences.ts'
import { sourceOfEndpoint } from '../../tools/connect/endpoint.ts'
import { planWebhook } from '../../tools/connect/plan.ts'
import { type Verification, waitForDelivery } from '../../tools/connect/wait-for-delivery.ts'
import type { RotationReport } from '../../tools/rotate/report.ts'
import { rotateWebhookKey } from '../../tools/rotate/webhook-key.ts'
import { EXIT, type ExitCode, UsageError } from '../command.ts'
import { confirm } from '../confirm.ts'
import { askHidden, hasTerminal } from '../hidden-input.ts'
import { printReport } from '../rotate/report.ts'
import type { ConnectContext } from './context.ts'
import { planText, verificationText } from './report.ts'

interface ConnectOptions {
  readonly url: URL
  readonly apply: boolean
  readonly events?: readonly string[]
  readonly webhook?: string
  readonly source?: string
  readonly key: boolean
  readonly verify: boolean
  readonly waitSeconds: number
  readonly yes: boolean
  readonly 'dry-run': boolean
  readonly json: boolean
}

type Result = 'created' | 'changed' | 'unchanged' | 'would_create' | 'would_change' | 'not_applied' | 'choose'

/** Keys of a webhook that was created a minute ago are in use a minute later: the time of a rotation is not needed. */
const KEY_WAIT_MS = 20_000
const QUIET_SECONDS = 24 * 60 * 60

/** Brings the webhook of one source into the wanted form, after showing how it differs. */
export async function connect(context: ConnectContext, options: ConnectOptions): Promise<ExitCode> {
  const { api, redis, keyPrefix } = context
  const { json, verify, waitSeconds, events } = options
  const dryRun = options['dry-run']
  const source = sourceOf(context, options)
  options.url.hash = ''
  if (options.url.search !== '')
    throw new UsageError('give the URL without a query: the signature is what protects it')
  const wanted = { endpoint: options.url.href, events }
  checkEvents(events)
  const say = (text: string): void => void (json ? process.stderr : process.stdout).write(text)

  const plan = planWebhook(await listReportingWebhooks(api), wanted, options.webhook)
  say(planText(plan, wanted))
  const { result, webhook } = await carryOut()
  const isConnected = result === 'created' || result === 'changed' || result === 'unchanged'
  if (webhook !== undefined && isConnected && !dryRun) {
    await rememberConnection(redis, keyPrefix, { source, ...wanted, webhook: String(webhook.id) })
  }
  const asksForKey = isConnected && !dryRun && (result === 'created' || options.key)
  const key = asksForKey ? await storeKey() : undefined
  const verification = isConnected && !dryRun && verify ? await verified() : undefined
  if (json) {
    const differences = 'differences' in plan ? plan.differences : []
    const report = { result, source, endpoint: wanted.endpoint, webhook, differences, key, verification }
    process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
  }
  const isGood =
    result !== 'not_applied' &&
    result !== 'choose' &&
    key !== 'failed' &&
    (verification === undefined || isKept(verification))
  return isGood ? EXIT.ok : EXIT.findings

  async function carryOut(): Promise<{ readonly result: Result; readonly webhook?: ReportingWebhook }> {
    switch (plan.action) {
      case 'none':
        return { result: 'unchanged', webhook: plan.webhook }
      case 'choose':
        return { result: 'choose' }
      case 'no_such_webhook':
        throw new UsageError(`--webhook ${options.webhook}: Customer.io lists no webhook with this id`)
      case 'create': {
        if (dryRun) return { result: 'would_create' }
        if (!(await isConfirmed(`create the webhook at Customer.io (${api.host})`)))
          return { result: 'not_applied' }
        const webhook = await createWebhook(api, wanted)
        say(`Created: webhook ${webhook.id}.\n`)
        return { result: 'created', webhook }
      }
      case 'change': {
        if (dryRun) return { result: 'would_change', webhook: plan.webhook }
        if (!options.apply) {
          say('Nothing was changed: add --apply to correct it.\n')
          return { result: 'not_applied', webhook: plan.webhook }
        }
        if (!(await isConfirmed(`change the webhook ${plan.webhook.id} at Customer.io (${api.host})`))) {
          return { result: 'not_applied', webhook: plan.webhook }
        }
        const webhook = await correctWebhook(api, plan.webhook, plan.differences)
        say(`Changed: webhook ${webhook.id}.\n`)
        return { result: 'changed', webhook }
      }
    }
  }

  async function isConfirmed(question: string): Promise<boolean> {
    if (options.yes || (await confirm(question, ''))) return true
    say('Nothing was changed.\n')
    return false
  }

  /** @returns `later` if the key is not known here yet */
  async function storeKey(): Promise<'stored' | 'failed' | 'later'> {
    const rotation = context.rotationOf(source)
    const name = signingKeyName(source)
    const place = rotation === undefined ? 'CIO_WEBHOOK_SECRET' : rotation.signingKey.place
    const typed = hasTerminal()
      ? await askHidden(
          'Signing key of the webhook, as Customer.io shows it beside the webhook (not displayed; empty: later): '
        )
      : ''
    if (typed === '' || rotation === undefined) {
      say(
        `Next: copy the signing key that Customer.io shows beside the webhook to ${place}. While another key is there, its deliveries get 401. To keep accepting the key in use, replace it with cio-webhook rotate webhook-key.\n`
      )
      return 'later'
    }
    const report = await rotateWebhookKey(rotation, {
      newKey: { name, handle: fixedSecret(name, 'the terminal', 'type it again', new Secret(typed)) },
      quietSeconds: QUIET_SECONDS,
      waitMs: KEY_WAIT_MS,
      dryRun: false
    })
    say(printReport(report))
    return isStored(report) ? 'stored' : 'failed'
  }

  async function verified(): Promise<Verification> {
    say(`Waiting for the next delivery, up to ${waitSeconds} s.\n`)
    const verification = await waitForDelivery({ redis, keyPrefix, source, waitMs: waitSeconds * 1000 })
    say(verificationText(verification, waitSeconds))
    return verification
  }
}

/** A delivery that was refused, because of its address for example, is not kept. */
const isKept = (verification: Verification): boolean =>
  verification.outcome === 'received' && ['accepted', 'duplicate', 'parked'].includes(verification.answer)

const isStored = ({ outcome }: RotationReport): boolean => outcome === 'done' || outcome === 'nothing_to_do'

/** @throws UsageError */
function sourceOf({ sources }: ConnectContext, { url, source }: ConnectOptions): string {
  const name = source ?? sourceOfEndpoint(url.href)
  if (name === undefined) {
    throw new UsageError(
      `${url.href} does not end with /api/cio/webhook or /api/cio/webhook/<source>: correct it, or add --source if a proxy changes the path`
    )
  }
  if (!sources.includes(name)) {
    throw new UsageError(
      `unknown source ${name}: give one of ${sources.join(', ')}, or add it to CIO_SOURCES_FILE`
    )
  }
  return name
}

/** @throws UsageError */
function checkEvents(events: readonly string[] | undefined): void {
  try {
    if (wantedNames(events).length > 0) return
  } catch (error) {
    throw new UsageError(`--events: ${error instanceof Error ? error.message : error}`)
  }
  throw new UsageError(`--events ${events?.join(' ')}: matches no event type of Customer.io`)
}
