import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { findKeyShapes } from '../../../src/tools/leaks/key-shapes.ts'
import { hex, K20, K32, K64, L20, L32 } from '../../fixtures/example-keys.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')

function shapes(text: string): string[] {
  const found: string[] = []
  const buffer = Buffer.from(text)
  findKeyShapes(buffer, 0, buffer.length, ({ rule }) => found.push(rule.replace('customerio-', '')))
  return found
}

type Row = readonly [text: string, ...expected: string[]]
const APP = 'app-api-key'
const TRACK = ['site-id', 'track-api-key'] as const

function table(name: string, rows: readonly Row[]): void {
  t.test(name, async t => {
    for (const [text, ...expected] of rows) t.strictSame(shapes(text), expected, text)
  })
}

table('a key is found if it is passed to a client of a library that the file imports', [
  [`const { APIClient } = require('customerio-node')\n\nconst api = new APIClient('${K32}')`, APP],
  [`import { APIClient } from 'customerio-node'\nexport default new APIClient("${K32}", { region })`, APP],
  [
    `import { APIClient, RegionEU } from "customerio-node";\nconst c: APIClient = new APIClient(\n  '${K32}',\n  { region: RegionEU }\n);`,
    APP
  ],
  [`import { APIClient as Mailer } from 'customerio-node'\nconst m = new Mailer(\`${K32}\`)`, APP],
  [`const { APIClient: Mailer } = require('customerio-node')\nconst m = new Mailer('${K32}')`, APP],
  [`import * as lib from 'customerio-node'\nnew lib.APIClient('${K32}')`, APP],
  [`const lib = require('customerio-node')\nconst Mailer = lib.APIClient\nnew Mailer('${K32}')`, APP],
  [`const CIO = require('customerio-node')\nconst c = new CIO('${K20}', '${L20}')`, ...TRACK],
  [`import Tracker from 'customerio-node'\nconst c = new Tracker('${K20}', '${L20}')`, ...TRACK],
  [
    `const { TrackClient } = await import('customerio-node')\nnew TrackClient(\n'${K20}',\n'${L20}'\n)`,
    ...TRACK
  ],
  [`import { APIClient } from 'customerio-node'\nnew APIClient(process.env.APP_KEY || '${K32}')`, APP],
  [
    `import { APIClient } from 'customerio-node'\nconst k = '${K32}'\n${'//\n'.repeat(3000)}new APIClient(k)`,
    APP
  ],
  [`from customerio import APIClient, Regions\n\nclient = APIClient("${K32}", region=Regions.US)`, APP],
  [`from customerio import APIClient as Mailer\nclient = Mailer(key='${K32}')`, APP],
  [`import customerio\nclient = customerio.APIClient("${K32}")`, APP],
  [
    `from customerio import CustomerIO\nc = CustomerIO(\n    site_id="${K20}",\n    api_key="${L20}",\n)`,
    ...TRACK
  ],
  [`from customerio import APIClient\nimport os\nc = APIClient(os.getenv("KEY", "${K32}"))`, APP],
  [
    `import (\n\t"github.com/customerio/go-customerio/v3"\n)\n\nfunc main() { c := customerio.NewAPIClient("${K32}") }`,
    APP
  ],
  [`use Customerio\\Client;\n\n$client = new Client('${K20}', '${L20}');`, ...TRACK],
  [
    `import { APIClient } from 'customerio-node'\n${'// a line\n'.repeat(2000)}new APIClient('${K32.toUpperCase()}')`,
    APP
  ]
])

table('a value that a file with that import passes to something else is not a key', [
  [`import { APIClient } from 'customerio-node'\nconst etag = '${K32}'`],
  [`import { APIClient } from 'customerio-node'\nconst other = new OtherClient('${K32}')`],
  [`import { APIClient } from 'customerio-node'\nnew APIClient(key, md5('${K32}'))`],
  [`import { APIClient } from 'customerio-node'\nnew APIClient(key)\nlog('${K32}')`],
  [`import { APIClient } from 'customerio-node'\nnew APIClient('${K64}')`],
  [`import { APIClient } from 'customerio-node'\nnew APIClient('${'ab'.repeat(16)}')`],
  [`import { APIClient } from 'acme-sdk'\nconst api = new APIClient('${K32}')`],
  [`from acme import APIClient\nclient = APIClient("${K32}")`],
  [`// like customerio-node\n\nconst api = new APIClient('${K32}')`]
])

const secret = (name: string, data: string): string =>
  `apiVersion: v1\nkind: Secret\nmetadata:\n  name: ${name}\n  labels:\n    tier: backend\ntype: Opaque\n${data}\n`

table('a key is found in a Secret of Kubernetes', [
  [secret('cio', `data:\n  api-key: ${base64(K32)}`), APP],
  [secret('cio', `data:\n  api-key: ${base64(`${K32}\n`)}`), APP],
  [secret('customerio-credentials', `data:\n  site-id: ${base64(K20)}\n  api-key: ${base64(L20)}`), ...TRACK],
  [secret('webhooks', `data:\n  CIO_SIGNING_KEY: "${base64(K64)}"`), 'signing-key'],
  [secret('cio', `data:\n  signing-key: >-\n    ${base64(K64)}`), 'signing-key'],
  [secret('cio', `stringData:\n  api-key: ${K32}`), APP],
  [secret('cio', `stringData:\n  api-key: "${K32.toUpperCase()}"`), APP],
  [
    `apiVersion: v1\ndata:\n  api-key: ${base64(K32)}\nkind: Secret\nmetadata:\n  creationTimestamp: null\n  name: cio\n`,
    APP
  ],
  [
    `${secret('mailgun', `data:\n  api-key: ${base64(L32)}`)}---\n${secret('cio', `data:\n  api-key: ${base64(K32)}`)}`,
    APP
  ],
  [JSON.stringify({ kind: 'Secret', metadata: { name: 'cio' }, data: { 'api-key': base64(K32) } }), APP],
  [
    JSON.stringify(
      { apiVersion: 'v1', data: { token: base64(K32) }, kind: 'Secret', metadata: { name: 'cio' } },
      null,
      2
    ),
    APP
  ],
  [
    JSON.stringify({
      kind: 'List',
      items: [
        { kind: 'Secret', metadata: { name: 'mailgun' }, data: { key: base64(L32) } },
        { kind: 'Secret', metadata: { labels: { a: 'b' }, name: 'cio' }, data: { key: base64(K32) } }
      ]
    }),
    APP
  ],
  [secret('{{ .Release.Name }}-cio', `data:\n  api-key: {{ "${K32}" | b64enc }}`), APP],
  [secret('cio', `data:\n  api-key: {{ b64enc "${K32}" | quote }}`), APP],
  [secret('cio', `data:\n  api-key: !!binary ${base64(K32)}`), APP],
  [
    secret(
      'webhooks',
      `data:\n  .env: ${base64(`PORT=3000\nLOG_LEVEL=info\nCIO_APP_API_KEY=${K32}\nHOST=0.0.0.0\n`)}`
    ),
    APP
  ],
  [
    secret(
      'cio',
      `data:\n  config.json: ${base64(JSON.stringify({ region: 'eu', log: 'info', siteId: K20, apiKey: L20 }))}`
    ),
    ...TRACK
  ]
])

/** The same manifest with its metadata, and on demand its data, in flow style. */
const flowSecret = (metadata: string, data: string): string =>
  `apiVersion: v1\nkind: Secret\nmetadata: ${metadata}\ntype: Opaque\n${data}\n`

table('a key is found in a Secret of Kubernetes whose YAML is in flow style', [
  [flowSecret('{ name: customerio }', `data:\n  api-key: ${base64(K32)}`), APP],
  [flowSecret('{name: customerio}', `stringData:\n  api-key: ${K32}`), APP],
  [flowSecret('{ "name": "cio" }', `data: { api-key: ${base64(K32)} }`), APP],
  [flowSecret('{ labels: { tier: backend }, name: cio }', `data:\n  api-key: ${base64(K32)}`), APP],
  [flowSecret('{ namespace: prod, name: cio, finalizers: [a, b] }', `data:\n  token: ${base64(K32)}`), APP],
  [flowSecret('{\n  name: cio\n}', `data:\n  api-key: ${base64(K32)}`), APP],
  [flowSecret('\n  name: cio', `data: { site-id: ${base64(K20)}, api-key: ${base64(L20)} }`), ...TRACK],
  [`data:\n  api-key: ${base64(K32)}\nkind: Secret\nmetadata: { name: cio }\n`, APP],
  [`data: { api-key: ${base64(K32)} }\nkind: Secret\nmetadata: { name: cio }\n`, APP],
  [`{ kind: Secret, metadata: { name: cio }, stringData: { api-key: ${K32} } }`, APP],
  [`items:\n- kind: Secret\n  metadata: { name: cio }\n  data:\n    api-key: ${base64(K32)}\n`, APP],
  [`items:\n- metadata: { labels: { a: b }, name: cio }\n  data:\n    api-key: ${base64(K32)}\n`, APP],
  [
    flowSecret(
      '{ name: cio }',
      `data:\n  config.json: ${base64(JSON.stringify({ siteId: K20, apiKey: L20, log: 'x' }))}`
    ),
    ...TRACK
  ]
])

table('a Secret of something else has no key in flow style either', [
  [flowSecret('{ name: mailgun }', `data:\n  api-key: ${base64(K32)}`)],
  [flowSecret('{ name: cio }', `data:\n  mailgun-key: ${base64(K32)}`)],
  [
    `${flowSecret('{ name: cio }', 'data:\n  region: ZXU=')}---\n${flowSecret('{ name: mailgun }', `data:\n  api-key: ${base64(K32)}`)}`
  ],
  [
    `${flowSecret('{ name: mailgun }', `data:\n  api-key: ${base64(K32)}`)}---\n${flowSecret('{ name: cio }', 'data:\n  region: ZXU=')}`
  ],
  [
    `items:\n- metadata: { name: cio }\n  data: {}\n- metadata: { name: mailgun }\n  data:\n    api-key: ${base64(K32)}\n`
  ],
  [
    `items:\n- metadata: { name: mailgun }\n  data:\n    api-key: ${base64(K32)}\n- metadata: { name: cio }\n  data: {}\n`
  ]
])

table('a Secret of something else has no key', [
  [secret('mailgun', `data:\n  api-key: ${base64(K32)}`)],
  [secret('cio', `data:\n  mailgun-key: ${base64(K32)}`)],
  [secret('cio', `data:\n  checksum: ${base64(K32)}`)],
  [secret('cio', `data:\n  api-key: ${base64('ab'.repeat(16))}`)],
  [secret('cio', `data:\n  api-key: ${Buffer.from(K32, 'hex').toString('base64')}`)],
  [`${secret('cio', 'data:\n  region: ZXU=')}---\n${secret('mailgun', `data:\n  api-key: ${base64(K32)}`)}`],
  [`${secret('mailgun', `data:\n  api-key: ${base64(K32)}`)}---\n${secret('cio', 'data:\n  region: ZXU=')}`],
  [
    JSON.stringify({
      items: [
        { kind: 'Secret', data: { key: base64(K32) }, metadata: { name: 'mailgun' } },
        { kind: 'Secret', data: {}, metadata: { name: 'cio' } }
      ]
    })
  ]
])

const rudder = { siteID: K20, apiKey: L20, datacenter: 'EU' }

table('a key is found if a field beside it, or beside its settings, names the provider', [
  [JSON.stringify({ name: 'CUSTOMERIO', config: rudder }), ...TRACK],
  [JSON.stringify({ config: rudder, name: 'CUSTOMERIO' }, null, 2), ...TRACK],
  [
    JSON.stringify(
      { id: '2ab', config: rudder, destinationDefinition: { id: '3', name: 'CUSTOMERIO' } },
      null,
      4
    ),
    ...TRACK
  ],
  [
    JSON.stringify({
      destinations: [
        { name: 'MAILGUN', config: { apiKey: L32 } },
        { name: 'CUSTOMERIO', config: rudder }
      ]
    }),
    ...TRACK
  ],
  [JSON.stringify({ type: 'customer-io', credentials: { apiKey: K32 } }, null, '\t'), APP],
  [JSON.stringify({ name: 'CIO_APP_API_KEY', value: K32 }, null, 2), APP],
  [JSON.stringify({ value: K32, name: 'CIO_APP_API_KEY' }, null, 2), APP],
  [
    `export const integration = {\n  provider: 'customerio',\n  options: {\n    apiKey: '${K32}'\n  }\n}`,
    APP
  ],
  [
    `destinations:\n  - name: CUSTOMERIO\n    config:\n      siteID: ${K20}\n      apiKey: ${L20}\n`,
    ...TRACK
  ],
  [`destinations:\n- config:\n    siteID: ${K20}\n    apiKey: ${L20}\n  name: CUSTOMERIO\n`, ...TRACK],
  [`- api_key: ${K32}\n  region: eu\n  type: customer.io\n`, APP],
  [
    `resource "segment_destination" "main" {\n  name = "customerio"\n  settings = {\n    api_key = "${K32}"\n  }\n}`,
    APP
  ],
  [`resource "http_credential" "customerio" {\n  region  = "eu"\n  api_key = "${K32}"\n}`, APP],
  [`resource "aws_ssm_parameter" "key" {\n  value = "${K32}"\n  name  = "/prod/cio/api_key"\n}`, APP],
  [
    `services:\n  customerio-sync:\n    image: sync\n    environment:\n${Array.from({ length: 25 }, (_, n) => `      SETTING_${n}: "some value"\n`).join('')}      API_KEY: ${K32}\n`,
    APP
  ],
  [
    `services:\n  sync:\n    image: registry/customerio-sync:1\n    environment:\n      - API_KEY=${K32}\n`,
    APP
  ],
  [`[[destinations]]\nname = "customerio"\nsite_id = "${K20}"\napi_key = "${L20}"\n`, ...TRACK],
  [`[destination]\nprovider = customerio\napi_key = ${K32}\n`, APP],
  [`<integration>\n  <name>customerio</name>\n  <apiKey>${K32}</apiKey>\n</integration>`, APP],
  [`CIO_API_KEY=${K32.toUpperCase()}`, APP],
  [`customerio:\n  site_id: ${K20.toUpperCase()}\n  api_key: ${L20.toUpperCase()}\n`, ...TRACK],
  [`authorization: Basic ${base64(`${K20}:${L20}`.toUpperCase())}`, 'basic-auth']
])

table('a key of another provider is not found', [
  [
    JSON.stringify([
      { name: 'CUSTOMERIO', config: { region: 'eu' } },
      { name: 'MAILGUN', config: { apiKey: K32 } }
    ])
  ],
  [
    JSON.stringify(
      [
        { name: 'CUSTOMERIO', config: { region: 'eu' } },
        { name: 'MAILGUN', config: { apiKey: K32 } }
      ],
      null,
      2
    )
  ],
  [
    JSON.stringify([
      { name: 'MAILGUN', config: { apiKey: K32 } },
      { name: 'CUSTOMERIO', config: { region: 'eu' } }
    ])
  ],
  [JSON.stringify({ name: 'customerio-sync', mailgun: { apiKey: K32 } }, null, 2)],
  [JSON.stringify({ customerio: { region: 'eu' }, mailgun: { apiKey: K32 } })],
  [JSON.stringify({ customerio: { region: 'eu' }, mailgun: { apiKey: K32 } }, null, 2)],
  [JSON.stringify({ name: 'CUSTOMERIO', config: { mailgunKey: K32 } }, null, 2)],
  [JSON.stringify({ name: 'CUSTOMERIO', config: { etag: K32, requestId: L32 } }, null, 2)],
  [
    `destinations:\n  - name: CUSTOMERIO\n    config:\n      region: eu\n  - name: MAILGUN\n    config:\n      apiKey: ${K32}\n`
  ],
  [
    `destinations:\n- name: MAILGUN\n  config:\n    apiKey: ${K32}\n- name: CUSTOMERIO\n  config:\n    region: eu\n`
  ],
  [
    `services:\n  customerio-sync:\n    image: a\n  mail:\n    image: mailgun\n    environment:\n      API_KEY: ${K32}\n`
  ],
  [`resource "x" "customerio" {\n  region = "eu"\n}\n\nresource "x" "mailgun" {\n  api_key = "${K32}"\n}`],
  [`[[destinations]]\nname = "customerio"\n\n[[destinations]]\nname = "mailgun"\napi_key = "${K32}"\n`],
  [`PROVIDER=customerio\nSENTRY_KEY=${K32}\n`]
])

const pods = Array.from({ length: 200 }, (_, n) => `  Pod${n}: ${hex(`pod ${n}`, 32)}\n`).join('')

table('checksums beside the names of packages are not keys', [
  [`PODS:\n  - CustomerIO (3.1.2)\n\nSPEC CHECKSUMS:\n  CustomerIO: ${K32}\n  CustomerIOTokens: ${L32}\n`],
  [
    `SPEC CHECKSUMS:\n${pods}  CustomerIO: ${K32}\n  "CustomerIO/Tracking": ${L32}\n  CustomerIOKeychain: ${K64}\n\nPODFILE CHECKSUM: ${hex('p', 40)}\n`
  ],
  [`[[package]]\nname = "customerio"\nversion = "0.1.0"\nchecksum = "${K64}"\n`],
  [
    `"node_modules/customerio-node": {\n  "resolved": "https://packages.example/customerio-node/-/customerio-node-5.2.0.tgz",\n  "integrity": "sha512-${base64(K64)}"\n}`
  ],
  [`github.com/customerio/go-customerio/v3 v3.1.0 h1:${Buffer.from(K64, 'hex').toString('base64')}`],
  [
    `[[package]]\nname = "customerio"\nfiles = [\n    {file = "customerio-1.6.1.whl", hash = "sha256:${K64}"},\n]`
  ],
  [`{"default":{"customerio":{"hashes":["sha256:${K64}","sha256:${hex('x', 64)}"],"version":"==1.6.1"}}}`],
  [`customerio==1.6.1 \\\n    --hash=sha256:${K64}\n`],
  [
    `customerio-node@^5.2.0:\n  version "5.2.0"\n  resolved "https://registry.yarnpkg.com/customerio-node/-/customerio-node-5.2.0.tgz#${hex('y', 40)}"\n`
  ],
  [`"customerio-node@npm:^5.2.0":\n  version: 5.2.0\n  checksum: ${K64}\n`],
  [
    `  customer_io:\n    dependency: "direct main"\n    description:\n      name: customer_io\n      sha256: "${K64}"\n      url: "https://pub.dev"\n`
  ],
  [`  "customerio": {:hex, :customerio, "0.2.2", "${K64}", [:mix], [], "hexpm", "${hex('z', 64)}"},`],
  [
    `{pkg_hash,[\n {<<"customerio">>, <<"${K64.toUpperCase()}">>},\n {<<"key">>, <<"${K64.toUpperCase()}">>}]}`
  ],
  [`CHECKSUMS\n  customerio (4.1.0) sha256=${K64}\n`],
  [`{"name":"customerio/sdk","dist":{"reference":"${hex('r', 40)}"}}\n"content-hash": "${K32}"`],
  [
    `<component group="io.customer.android" name="tracking">\n  <artifact name="t.aar">\n    <sha256 value="${K64}" origin="Generated"/>\n`
  ],
  [`"remote": {\n    "https://deno.land/x/customerio/api_key.ts": "${K64}"\n  }`],
  [`SHA256 (customerio-keys.zip) = ${K64}\n`],
  [`${K64.toUpperCase()}  customerio-keys.zip\n${K32}  customerio.tar\n`],
  [`Package: customerio-agent\nMD5sum: ${K32}\nSHA256: ${K64}\n`]
])

const siblingFields = fc.array(
  fc.tuple(fc.constantFrom('region', 'enabled', 'timeout', 'labels'), fc.constantFrom('eu', 'x', '10')),
  { maxLength: 4 }
)
const provider = fc.constantFrom(
  'customerio',
  'CUSTOMERIO',
  'customer.io',
  'Customer.io',
  'customer-io',
  'cio'
)
const other = fc.constantFrom('mailgun', 'SENDGRID', 'segment', 'conscious', 'precio')
const nameField = fc.constantFrom('name', 'type', 'provider', 'service', 'integration')
const keyField = fc.constantFrom('apiKey', 'api_key', 'api-key', 'appApiKey', 'token', 'secret', 'key')
const container = fc.constantFrom(undefined, 'config', 'settings', 'credentials', 'data')

/** An object with a name and a key in it, or in its settings, among other fields and in any order. */
const destination = (name: fc.Arbitrary<string>) =>
  fc
    .tuple(nameField, name, container, keyField, siblingFields, fc.boolean())
    .map(([field, value, inner, key, fields, isKeyFirst]) => {
      const others = Object.fromEntries(fields)
      const settings = inner === undefined ? { [key]: K32 } : { [inner]: { ...others, [key]: K32 } }
      return isKeyFirst
        ? { ...settings, ...others, [field]: value }
        : { [field]: value, ...others, ...settings }
    })

const notation = fc.constantFrom<(value: unknown) => string>(
  value => JSON.stringify(value),
  value => JSON.stringify(value, null, 2),
  value => JSON.stringify({ destinations: value }, null, '\t'),
  value => yaml(value),
  value => `destinations:\n${yaml(value).replace(/^/gm, '  ')}`,
  value => flow(value),
  value => yaml(value, 1),
  value => `destinations:\n${yaml(value, 2).replace(/^/gm, '  ')}`
)

/** @param blockDepth lists and objects below it are in flow style */
function yaml(value: unknown, blockDepth = 10): string {
  if (typeof value !== 'object' || value === null) return String(value)
  if (blockDepth === 0) return flow(value)
  const inner = (child: unknown): string => yaml(child, blockDepth - 1)
  if (Array.isArray(value)) return value.map(item => `- ${inner(item).replaceAll('\n', '\n  ')}`).join('\n')
  return Object.entries(value)
    .map(([key, child]) =>
      typeof child === 'object' && blockDepth > 1
        ? `${key}:\n${inner(child).replace(/^/gm, '  ')}`
        : `${key}: ${inner(child)}`
    )
    .join('\n')
}

function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`
  if (typeof value !== 'object' || value === null) return String(value)
  return `{ ${Object.entries(value)
    .map(([key, child]) => `${key}: ${flow(child)}`)
    .join(', ')} }`
}

t.test(
  'with any fields and in any notation, the key of the provider is found, and keys of its neighbours are not',
  async () => {
    fc.assert(
      fc.property(
        destination(provider),
        fc.array(destination(other), { maxLength: 3 }),
        fc.nat(),
        notation,
        (own, neighbours, place, write) => {
          assert.deepEqual(shapes(write(neighbours)), [], write(neighbours))
          const all = neighbours.toSpliced(place % (neighbours.length + 1), 0, own)
          assert.deepEqual(shapes(write(all)), [APP], write(all))
        }
      ),
      { numRuns: 500 }
    )
  }
)
