import t from 'tap'
import { findKeyShapes } from '../../../src/tools/leaks/key-shapes.ts'
import { hex, K20, K32, K64, L20 } from '../../fixtures/example-keys.ts'

const SHA1 = hex('e', 40)

function shapes(text: string): string[] {
  const found: string[] = []
  const buffer = Buffer.from(text)
  findKeyShapes(buffer, 0, buffer.length, ({ rule, certainty }) =>
    found.push(`${rule.replace('customerio-', '')} ${certainty}`)
  )
  return found
}

const basic = Buffer.from(`${K20}:${L20}`).toString('base64')

t.test('a key of Customer.io is found by its name, and by the call it is passed to', async t => {
  const table: readonly (readonly [string, ...string[]])[] = [
    [`CIO_SITE_ID=${K20}`, 'site-id likely'],
    [`CIO_API_KEY=${K20}`, 'track-api-key likely'],
    [`export CUSTOMERIO_APP_API_KEY="${K32}"`, 'app-api-key likely'],
    [`CIO_WEBHOOK_SECRET: ${K64}`, 'signing-key likely'],
    [`X-CIO-Webhook-Signature-Key: ${K64}`, 'signing-key likely'],
    [`"customerIoApiKey": "${K20}",`, 'track-api-key likely'],
    [`const cioApiKey = '${K32}'`, 'app-api-key likely'],
    [`const myCioKey = '${K32}'`, 'app-api-key likely'],
    [`process.env.CIO_API_KEY ?? '${K20}'`, 'track-api-key likely'],
    [`ENV CIO_API_KEY ${K20}`, 'track-api-key likely'],
    [`define('CUSTOMERIO_API_KEY', '${K20}');`, 'track-api-key likely'],
    [`customerio.secret => "${K64}"`, 'signing-key likely'],
    [`CUSTOMERIO=${K32}`, 'app-api-key possible'],
    [`<add key="CustomerIoApiKey" value="${K32}"/>`, 'app-api-key possible'],
    [`new TrackClient('${K20}', '${L20}')`, 'site-id possible', 'track-api-key possible'],
    [`customerio.NewTrackClient("${K20}", "${L20}")`, 'site-id possible', 'track-api-key possible'],
    [`curl -u ${K20}:${L20} https://track.customer.io/auth`, 'site-id possible', 'track-api-key possible'],
    [`https://${K20}:${L20}@track.customer.io/`, 'site-id possible', 'track-api-key possible'],
    [`curl -H "Authorization: Bearer ${K32}" https://api.customer.io/v1`, 'app-api-key possible'],
    [`customerio:\n  site_id: ${K20}\n  api_key: ${L20}\n`, 'site-id possible', 'track-api-key possible'],
    [`customerio:\n  eu:\n    # new\n    key: ${K32}\n`, 'app-api-key possible'],
    [`[customerio]\nregion = eu\napi_key = ${K32}\n`, 'app-api-key possible'],
    [`# Customer.io\nSITE_ID=${K20}\nAPI_KEY=${L20}\n`, 'site-id possible', 'track-api-key possible'],
    [`variable "cio_api_key" {\n  default = "${K20}"\n}`, 'track-api-key possible'],
    [`- name: CIO_APP_API_KEY\n  value: ${K32}`, 'app-api-key possible'],
    [`{"customerio":{"siteId":"${K20}","apiKey":"${L20}"}}`, 'site-id possible', 'track-api-key possible'],
    [`the customer.io api key is ${K32}.`, 'app-api-key possible'],
    [`authorization: Basic ${basic}`, 'basic-auth certain'],
    [`"${basic}"`, 'basic-auth certain']
  ]
  for (const [text, ...expected] of table) t.strictSame(shapes(text), expected, text)
})

t.test('the shape alone, or the name alone, is not a key', async t => {
  const table = [
    `API_KEY=${K32}`,
    `const secret = '${K64}'`,
    `cio commit ${SHA1}`,
    `x-cio-signature: ${K64}`,
    `headers['x-cio-signature'] = '${K64}'`,
    `CIO_BODY_SHA256=${K64}`,
    `image: customerio/worker@sha256:${K64}`,
    `{"source":"/customerio/x","data":{"email_hash":"${K64}","customer_id":"${K32}"}}`,
    `cio_id: ${K20}`,
    `cioDeliveryId = "${K20}"`,
    `customer.io cache_key=${K32}`,
    `customerio-node.tgz#${SHA1}`,
    `${K64}  cio-webhook.tgz`,
    `customerio:\n  region: eu\nmailgun:\n  api_key: ${K32}\n`,
    `[customerio]\nregion = eu\n[mailgun]\napi_key = ${K32}\n`,
    `# Customer.io\nCIO_REGION=eu\n\nAPI_KEY=${K32}\n`,
    `precio_key: ${K32}`,
    `conscious key: ${K32}`,
    `CIO_API_KEY=${'0'.repeat(20)}`,
    'CIO_API_KEY=0123456789abcdef0123',
    `CIO_API_KEY=${'ab12'.repeat(5)}`,
    `CIO_API_KEY=${K20}a`,
    `CIO_API_KEY=z${K20}`,
    `CIO_API_KEY=${K20.slice(1)}`,
    `authorization: Basic ${Buffer.from(`${K20}:${SHA1}`).toString('base64')}`
  ]
  for (const text of table) t.strictSame(shapes(text), [], text)
})
