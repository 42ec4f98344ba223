// Writes the generated parts of the Helm chart: README.md from the comments of values.yaml; in values.schema.json the
// settings of the service; copies of the Prometheus rules and Grafana dashboards, because a chart has its own files only.
// Usage: document-chart.mjs [--check]      --check writes nothing and fails if something differs.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { variables } from '../build/src/settings/variables.js'

const CHART = 'deploy/helm/cio-webhook'
/** Variables that the chart sets itself, or that have no use in a cluster. */
const DECIDED = [
  'NODE_ENV', // The image is for production.
  'PORT',
  'DATA_DIR',
  'METRICS_PORT',
  'CONSOLE_PORT',
  'CONSOLE_HOST',
  'SHUTDOWN_DELAY_SECONDS', // The grace period depends on it: shutdownDelaySeconds.
  'CIO_SOURCES_FILE',
  'CONSUMERS_FILE'
]
const COPIED = [
  { from: 'deploy/prometheus', to: `${CHART}/files/prometheus`, isCopied: isRulesFile },
  { from: 'deploy/grafana', to: `${CHART}/files/grafana`, isCopied: path => path.endsWith('.json') }
]

/** Rows of path, default and comment. A map without a value in its line is a group: its comment is a row without default. */
function readValues(text) {
  const rows = []
  const parents = []
  let comment = []
  for (const line of text.split('\n')) {
    const [, indent = '', key, value = ''] = /^( *)([A-Za-z]+):(?: (.*))?$/.exec(line) ?? []
    if (key !== undefined) {
      parents.length = indent.length / 2
      parents.push(key)
      rows.push({ path: parents.join('.'), value, comment: comment.join(' ') })
    }
    const said = /^ *# (.*)$/.exec(line)?.[1]
    comment = said === undefined ? [] : [...comment, said]
  }
  return rows.filter(({ value, comment }) => value !== '' || comment !== '')
}

function readmePage() {
  const rows = readValues(readFileSync(join(CHART, 'values.yaml'), 'utf8')).map(
    ({ path, value, comment }) => `| \`${path}\` | \`${value}\` | ${comment} |`
  )
  return `# Helm chart of cio-webhook

How to install it, and what your gateway, Redis and monitoring need: [docs/deploy.md](../../../docs/deploy.md#kubernetes).

\`values.schema.json\` checks every value, also the names of the settings in \`config\`. Set \`config\` numbers and \`on\`/\`off\`
with or without quotes.

| value | default | what it is |
|---|---|---|
${rows.join('\n')}

This page is written by \`npm run docs:chart\`.
`
}

/** In the format of JSON.stringify; npm run docs:chart formats it with biome afterwards. */
function schemaText() {
  const schema = JSON.parse(readFileSync(join(CHART, 'values.schema.json'), 'utf8'))
  const settings = Object.entries(variables).filter(([name]) => !DECIDED.includes(name))
  const { secrets, config } = schema.properties
  secrets.properties.variables.items.enum = settings.filter(([, { secret }]) => secret).map(([name]) => name)
  config.properties = Object.fromEntries(
    settings
      .filter(([, { secret }]) => !secret)
      .map(([name, { help }]) => [name, { description: help, type: ['string', 'number', 'boolean'] }])
  )
  return `${JSON.stringify(schema, null, 2)}\n`
}

function isRulesFile(path) {
  return path.endsWith('.yaml') && /^groups:/m.test(readFileSync(path, 'utf8'))
}

/** The files of the chart that are copies: path and content. */
function copies() {
  return COPIED.flatMap(({ from, to, isCopied }) =>
    filesOf(from)
      .filter(name => isCopied(join(from, name)))
      .map(name => [join(to, name), readFileSync(join(from, name), 'utf8')])
  )
}

const filesOf = folder => (existsSync(folder) ? readdirSync(folder).sort() : [])

/** The format of JSON does not count. */
function isSame(path, text) {
  const found = readFileSync(path, 'utf8')
  if (!path.endsWith('.schema.json')) return found === text
  return JSON.stringify(JSON.parse(found)) === JSON.stringify(JSON.parse(text))
}

const wanted = new Map([
  [join(CHART, 'README.md'), readmePage()],
  [join(CHART, 'values.schema.json'), schemaText()],
  ...copies()
])
const stale = [...wanted].filter(([path, text]) => !existsSync(path) || !isSame(path, text))
const surplus = COPIED.flatMap(({ to }) => filesOf(to).map(name => join(to, name))).filter(
  path => !wanted.has(path)
)

if (process.argv.includes('--check')) {
  for (const path of [...stale.map(([path]) => path), ...surplus]) {
    console.error(`${path} is out of date: run npm run docs:chart`)
    process.exitCode = 1
  }
} else {
  for (const [path, text] of stale) {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
  for (const path of surplus) rmSync(path)
}
