// Renders the plain manifests of deploy/kubernetes from the Helm chart, one file per object.
// Usage: render-kubernetes.mjs [--check]      --check writes nothing and fails if something differs.
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'

const FOLDER = 'deploy/kubernetes'
const VALUES = 'deploy/helm/plain-values.yaml'
const HEAD = `# Rendered from the Helm chart by \`npm run docs:kubernetes\`. Replace in your copy: ${placeholders()}.\n`

const tools = execFileSync('sh', ['scripts/go-tools.sh', 'helm'], { encoding: 'utf8' }).trim()
const rendered = execFileSync(
  join(tools, 'helm'),
  [
    'template',
    'cio-webhook',
    'deploy/helm/cio-webhook',
    '--skip-tests',
    '--kube-version',
    '1.37',
    '--values',
    VALUES
  ],
  { encoding: 'utf8' }
)
const wanted = new Map(
  rendered
    .split(/^---\n# Source: /m)
    .slice(1)
    .map(part => {
      const [source = '', ...lines] = part.trimEnd().split('\n')
      // Nothing of Helm manages these objects.
      const own = lines.filter(line => !/^\s+(helm\.sh\/chart|app\.kubernetes\.io\/managed-by):/.test(line))
      return [join(FOLDER, basename(source)), `${HEAD}${own.join('\n')}\n`]
    })
)

/** What the comments of the values say about each. */
function placeholders() {
  const comments = readFileSync(VALUES, 'utf8').matchAll(/ # (.+)$/gm)
  return [...comments].map(([, comment]) => comment).join(', ')
}

const found = readdirSync(FOLDER).map(name => join(FOLDER, name))
const isCurrent = path => found.includes(path) && readFileSync(path, 'utf8') === wanted.get(path)
const stale = [...new Set([...wanted.keys(), ...found])].filter(path => !isCurrent(path))
for (const path of stale) {
  if (process.argv.includes('--check')) {
    console.error(`${path} is out of date: run npm run docs:kubernetes`)
    process.exitCode = 1
  } else if (wanted.has(path)) writeFileSync(path, wanted.get(path))
  else rmSync(path)
}
