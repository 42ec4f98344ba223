import { spawnSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { publishedAddresses } from '../../src/receive/published-addresses.ts'
import { sampleEvent, sampleTypes } from '../../src/tools/send/samples.ts'
import { temporaryFolder } from '../helpers/server.ts'

type Json = Readonly<Record<string, unknown>>

const objectTypes = ['customer', 'email', 'push', 'in_app', 'sms', 'whatsapp', 'slack', 'webhook']
const STATUSES = [400, 401, 402, 403, 404, 405, 410, 429, 500, 502, 521]

/** Compares descriptions with the code. */
function facts(t: Test, descriptions: readonly Json[]) {
  const folder = temporaryFolder()
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const files = descriptions.map((description, index) => {
    const file = join(folder, `${index}.json`)
    writeFileSync(file, JSON.stringify(description))
    return file
  })
  return run(files)
}

function run(args: readonly string[]) {
  return spawnSync(process.execPath, ['scripts/facts.mjs', ...args], { encoding: 'utf8' })
}

/** A description of the webhooks that says what the code says; the fields of events are those of the samples. */
function webhooks(additions: Readonly<Record<string, Json>> = {}, statuses = STATUSES): Json {
  const schema = { oneOf: [{ oneOf: Object.entries({ ...events, ...additions }).map(eventSchema) }] }
  const codes = statuses.map(code => `\`${code}\``).join(', ')
  return {
    webhooks: {
      reportingWebhook: { post: { requestBody: { content: { 'application/json': { schema } } } } }
    },
    components: { schemas: { person } },
    info: { description: `We have a 4 second timeout.\n\n  * Error codes: ${codes}.\n` }
  }
}

/** A description of the App API. */
function appApi(names: unknown, addresses: unknown): Json {
  const json = (properties: Json) => ({ content: { 'application/json': { schema: object(properties) } } })
  return {
    paths: {
      '/v1/reporting_webhooks': {
        post: { requestBody: json({ events: { type: 'array', items: { ...string, enum: names } } }) }
      },
      '/v1/info/ip_addresses': {
        get: { responses: { 200: json({ ip_addresses: { type: 'array', example: addresses } }) } }
      }
    }
  }
}

const string = { type: 'string' }
const integer = { type: 'integer' }
const person = object({
  identifiers: object({ id: { type: ['string', 'null'] } }, { email: string, cio_id: string })
})

/** What a message belongs to: an event has the fields of one of them. */
const parents = {
  oneOf: [
    object({ campaign_id: integer, action_id: integer }, { journey_id: string, trigger_event_id: string }),
    object({ broadcast_id: integer, trigger_id: integer }, { parent_action_id: integer }),
    object({ newsletter_id: integer, content_id: integer }),
    object({ transactional_message_id: {} })
  ]
}

/** Fields that are not in every event of the type. */
const optional: Readonly<Record<string, Json>> = {
  'push.sent': object({}, { recipients: { type: 'array', items: object({}, { failure_message: string }) } }),
  'customer.cio_subscription_preferences_changed': object({}, { delivery_id: string })
}

/** The schemas of `data`. */
const events = Object.fromEntries(
  sampleTypes.map(type => {
    const { identifiers, ...data } = sampleEvent(type, 'an-id', 1, 0).data
    return [type, schemaOf(data)]
  })
)

function eventSchema([type, data]: readonly [string, Json]): Json {
  const [objectType = '', metric = ''] = type.split('.')
  const isSubscription = objectType === 'customer'
  const belongs = !isSubscription || metric.startsWith('cio_') ? [parents] : []
  const extra = optional[type] ?? {}
  return {
    allOf: [
      object({ metric: { type: 'string', enum: [metric] } }),
      object({
        // A person can subscribe through every channel.
        object_type: { type: 'string', enum: isSubscription ? objectTypes : [objectType] },
        data: { allOf: [data, extra, { $ref: '#/components/schemas/person' }, ...belongs] }
      })
    ]
  }
}

function object(properties: Json, more: Json = {}): Json {
  return { type: 'object', required: Object.keys(properties), properties: { ...properties, ...more } }
}

function schemaOf(value: unknown): Json {
  if (Array.isArray(value)) return { type: 'array', items: schemaOf(value[0]) }
  if (typeof value !== 'object' || value === null) return { type: typeof value }
  return object(Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, schemaOf(inner)])))
}

t.test('nothing is reported if the descriptions say what the code says', async t => {
  const { status, stdout, stderr } = facts(t, [webhooks()])
  t.equal(stderr, '')
  t.match(stdout, /^0 differences, /m)
  t.equal(status, 0)
})

t.test('each difference names the fact, the problem and the place to change', async t => {
  const description = webhooks(
    {
      'email.snoozed': object({}),
      'fax.sent': object({}),
      'email.bounced': { allOf: [events['email.bounced'], object({}, { reply_to: string })] },
      'email.clicked': { allOf: [events['email.clicked'], object({ link_id: string })] },
      'sms.bounced': { ...events['sms.bounced'], required: ['delivery_id'] },
      'slack.failed': { ...events['slack.failed'], properties: { customer_id: string, delivery_id: string } }
    },
    [...STATUSES.slice(1), 418]
  )
  const names = sampleTypes.map(type => type.replace('.cio_', '.').replace('.', '_'))
  const app = appApi([...names.slice(1), 'email_snoozed'], [...publishedAddresses.slice(5), '192.0.2.1'])
  const { status, stdout } = facts(t, [description, app])
  t.equal(status, 1)
  t.same(stdout.replace(/:\d+\)$/gm, ')').split('\n'), [
    'object type fax: published, but not in the code (src/event-types.ts)',
    'email.clicked data.link_id: number in the code, but published as string too (src/consume/events.ts)',
    'email.bounced data.reply_to: published, but not in the code; check whether the PII policy has to cover it (src/consume/events.ts)',
    'sms.bounced data.recipient_hash: always there in the code, but published as optional (src/consume/events.ts)',
    'sms.bounced data.failure_message: always there in the code, but published as optional (src/consume/events.ts)',
    'slack.failed data.failure_message: in the code, but not published (src/consume/events.ts)',
    'slack.failed data.failure_message: in the sample, but not published (src/tools/send/samples.ts)',
    'event email.snoozed: published, but not in the code; the samples need it too (src/consume/events.ts)',
    'event fax.sent: published, but not in the code; the samples need it too (src/consume/events.ts)',
    'retry code 400: in the code, but not published (src/tools/doctor/expectations.ts)',
    'retry code 418: published, but not in the code (src/tools/doctor/expectations.ts)',
    'event name email_snoozed: published, but not in the code (src/consume/events.ts)',
    'event name customer_subscribed: in the code, but not published (src/consume/events.ts)',
    'address 192.0.2.1: published, but not in the code (src/receive/published-addresses.ts)',
    '14 differences, 0 known ones (scripts/facts/known.mjs)',
    ''
  ])
})

t.test('a fact that cannot be found in a description is a difference', async t => {
  const { info, ...rest } = webhooks()
  const { status, stdout } = facts(t, [rest, appApi(undefined, undefined)])
  t.equal(status, 1)
  t.same(stdout.match(/^.*not found in the description/gm), [
    'retry codes: not found in the description',
    'timeout: not found in the description',
    'event names: not found in the description',
    'addresses: not found in the description'
  ])
})

t.test('what is not a description is refused', async t => {
  t.match(run([]), { status: 2, stderr: 'usage: npm run facts -- [--json] FILE...' })
  t.match(run(['package.json']), { status: 2, stderr: /^package\.json is not a description .*: neither/ })
  t.match(run(['README.md']), { status: 2, stderr: /^README\.md is not a description .*: Unexpected token/ })
})

// They belong to Customer.io, so that no copy is in the repository.
const descriptions = process.env['CUSTOMERIO_DESCRIPTIONS']?.split(':')
const skip = descriptions === undefined && 'CUSTOMERIO_DESCRIPTIONS has no paths of published descriptions'
t.test('the code agrees with the published descriptions', { skip }, async t => {
  const { status, stdout } = run(['--json', ...(descriptions ?? [])])
  t.same(JSON.parse(stdout).differences, [])
  t.equal(status, 0)
})
