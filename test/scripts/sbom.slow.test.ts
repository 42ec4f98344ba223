import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { temporaryFolder } from '../helpers/server.ts'

interface Component {
  readonly 'bom-ref': string
  readonly type: string
  readonly name: string
  readonly version: string
  readonly purl: string
}

interface Sbom {
  readonly specVersion: string
  readonly serialNumber: string
  readonly metadata: { readonly timestamp: string; readonly component: Component }
  readonly components: readonly Component[]
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[]
}

t.setTimeout(600_000)

const folder = temporaryFolder()
t.teardown(() => rmSync(folder, { recursive: true }))
const own = JSON.parse(readFileSync('package.json', 'utf8'))

function sbom(...args: readonly string[]): Sbom {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/sbom.mjs', ...args], {
    encoding: 'utf8',
    // A proxy that nobody listens on: the network must not be needed.
    env: { ...process.env, SOURCE_DATE_EPOCH: '1764201600', HTTPS_PROXY: 'http://127.0.0.1:1' }
  })
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout)
}

const names = ({ components }: Sbom): readonly string[] => components.map(({ name }) => name)

t.test('the service: production dependencies with version and purl, the same in each run', async t => {
  const found = sbom('package', '.')
  t.match(found, {
    bomFormat: 'CycloneDX',
    metadata: {
      timestamp: '2025-11-27T00:00:00.000Z',
      component: {
        type: 'library',
        name: 'cio-webhook',
        version: own.version,
        purl: `pkg:npm/cio-webhook@${own.version}`
      }
    }
  })
  t.match(found.serialNumber, /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/)
  for (const name of Object.keys(own.dependencies)) t.ok(names(found).includes(name), name)
  t.notOk(names(found).includes('tap'), 'no dev dependency')
  t.ok(own.devDependencies.ajv, 'a dev dependency')
  t.ok(names(found).includes('ajv'), 'that fastify needs too')
  const refs = found.components.map(component => component['bom-ref'])
  t.equal(new Set(refs).size, refs.length, 'references are unique')
  const known = new Set([...refs, found.metadata.component['bom-ref']])
  t.same(
    found.dependencies.flatMap(({ ref, dependsOn }) => [ref, ...dependsOn]).filter(ref => !known.has(ref)),
    [],
    'and each leads to a component'
  )
  t.same(sbom('package', '.'), found)
})

t.test('the consumer package: ioredis and what it needs, nothing else', async t => {
  const manifest = { name: 'some-consumer', version: '1.2.3', license: 'MIT', dependencies: { ioredis: '*' } }
  mkdirSync(join(folder, 'consumer'))
  writeFileSync(join(folder, 'consumer/package.json'), JSON.stringify(manifest))
  const found = sbom('package', join(folder, 'consumer'))
  t.equal(found.metadata.component.purl, 'pkg:npm/some-consumer@1.2.3')
  t.ok(names(found).includes('ioredis'))
  t.ok(names(found).includes('redis-errors'))
  t.notOk(names(found).includes('fastify'))
})

t.test('the image: what npm installs on its CPU, the Debian packages of the base, and Node', async t => {
  const list = join(folder, 'debian.tsv')
  writeFileSync(list, 'libc6\t2.36-9+deb12u10\tamd64\nlibstdc++6\t12.2.0-14\tamd64\n')
  const found = sbom('image', 'x64', list, '24.11.1')
  t.equal(found.metadata.component.type, 'container')
  t.ok(names(found).includes('@msgpackr-extract/msgpackr-extract-linux-x64'))
  t.notOk(names(found).includes('@msgpackr-extract/msgpackr-extract-linux-arm64'))
  t.notOk(names(found).includes('@msgpackr-extract/msgpackr-extract-darwin-x64'))
  t.same(
    found.components.slice(-3).map(({ purl }) => purl),
    [
      'pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64',
      'pkg:deb/debian/libstdc%2B%2B6@12.2.0-14?arch=amd64',
      'pkg:generic/node@24.11.1'
    ]
  )
  const arm = sbom('image', 'arm64', list, '24.11.1')
  t.ok(names(arm).includes('@msgpackr-extract/msgpackr-extract-linux-arm64'))
  t.not(arm.serialNumber, found.serialNumber)
})
