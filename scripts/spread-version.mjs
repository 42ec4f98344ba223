// Writes the version of package.json to every other file that names it. `npm version` runs this.
// Usage: node scripts/spread-version.mjs [--check]      --check writes nothing and fails if something differs
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

/** By file or folder: what stands before the version. A file in which one of these is missing is an error. */
const places = [
  ['Dockerfile', /^ARG VERSION=/m],
  ['deploy/helm/cio-webhook/Chart.yaml', /^version: /m, /^appVersion: /m],
  ['docs/openapi.yaml', /^ {2}version: /m],
  ['docs/asyncapi.yaml', /^ {2}version: /m],
  ['docs/walkthroughs/first-event.md', /^cio-webhook (?=\d)/m],
  ['examples/cloud-run/service.yaml', /\/cio-webhook:/],
  ['examples/ecs/task-definition.json', /\/cio-webhook:/],
  ['examples/kubernetes-secrets/secret-provider-class.yaml', /image: cio-webhook:/],
  ['deploy/kubernetes/deployment.yaml', /\/cio-webhook:/],
  ...readdirSync('deploy/kubernetes')
    .filter(name => readFileSync(`deploy/kubernetes/${name}`, 'utf8').includes('app.kubernetes.io/version'))
    .map(name => [`deploy/kubernetes/${name}`, /app\.kubernetes\.io\/version: "/])
]

const VERSION = '\\d+\\.\\d+\\.\\d+(?:-[\\w.]+)?'

const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
const check = process.argv[2] === '--check'
for (const [path, ...prefixes] of places) {
  for (const prefix of prefixes) replace(path, prefix)
}

function replace(path, prefix) {
  const text = readFileSync(path, 'utf8')
  const place = new RegExp(`(${prefix.source})(${VERSION})`, prefix.flags)
  const [, before, found] = place.exec(text) ?? []
  if (found === undefined) {
    console.error(`${path}: no version after ${prefix}; correct the table in scripts/spread-version.mjs`)
    process.exitCode = 1
  } else if (check && found !== version) {
    console.error(`${path}: ${found} instead of ${version}; run node scripts/spread-version.mjs`)
    process.exitCode = 1
  } else if (!check) {
    writeFileSync(
      path,
      text.replace(place, () => before + version)
    )
  }
}
