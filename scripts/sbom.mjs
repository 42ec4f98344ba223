// Prints a CycloneDX SBOM: of an npm package with its production dependencies, or of the image.
// Usage: node scripts/sbom.mjs package FOLDER         FOLDER has the package.json of one of the two npm packages
//        node scripts/sbom.mjs image CPU DEBIAN NODE  CPU is x64 or arm64, DEBIAN a file with the output of
//            docker run --rm --entrypoint dpkg-query IMAGE -W -f '${Package}\t${Version}\t${Architecture}\n'
//            and NODE the version of Node in the image
//
// npm reads the lock file, so no network is needed. The consumer package has no lock file: its components are the
// versions that this repository is tested with. In the image, the Debian packages and Node come from the base. The
// same commit and the same SOURCE_DATE_EPOCH give the same SBOM.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const parsed = path => JSON.parse(readFileSync(path, 'utf8'))

const [kind, ...args] = process.argv.slice(2)
const makers = { package: ofPackage, image: ofImage }
if (!Object.hasOwn(makers, kind)) throw new Error('usage: sbom.mjs package FOLDER | image CPU DEBIAN NODE')
console.log(JSON.stringify(reproducible(makers[kind](...args)), null, 2))

function ofPackage(folder) {
  const manifest = parsed(join(folder, 'package.json'))
  const { name, version, description, license } = manifest
  return bom(
    {
      'bom-ref': `${name}@${version}`,
      type: 'library',
      name,
      version,
      description,
      licenses: [{ license: { id: license } }],
      purl: `pkg:npm/${name}@${version}`
    },
    dependenciesOf(manifest),
    () => true
  )
}

function ofImage(cpu, debianList, node) {
  const manifest = parsed('package.json')
  const { name, version, description, license } = manifest
  const image = { 'bom-ref': `${name}-image@${version}`, type: 'container', name, version, description }
  const licenses = [{ license: { id: license } }]
  const sbom = bom({ ...image, licenses }, dependenciesOf(manifest), installedOn(cpu))
  const debian = readFileSync(debianList, 'utf8').trim().split('\n')
  sbom.components.push(...debian.map(debianPackage), {
    'bom-ref': `node@${node}`,
    type: 'application',
    name: 'node',
    version: node,
    purl: `pkg:generic/node@${node}`
  })
  return sbom
}

/** The direct ones. npm installs the optional ones where they support the version of Node. */
function dependenciesOf({ dependencies, optionalDependencies = {} }) {
  return [...Object.keys(dependencies), ...Object.keys(optionalDependencies)]
}

/** @returns whether npm installs a package, given its entry in the lock file, in the image for this CPU */
function installedOn(cpu) {
  const admits = (allowed, own) => allowed === undefined || allowed.includes(own)
  return ({ cpu: cpus, os, libc }) => admits(cpus, cpu) && admits(os, 'linux') && admits(libc, 'glibc')
}

function debianPackage(line) {
  const [name, version, architecture] = line.split('\t')
  if (architecture === undefined) throw new Error(`not a line of dpkg-query: ${line}`)
  const purl = `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?arch=${architecture}`
  return { 'bom-ref': purl, type: 'library', name, version, purl }
}

/** @param names the direct dependencies @param isInstalled given the entry of a package in the lock file */
function bom(component, names, isInstalled) {
  // Not `--omit dev`: that leaves out packages which are needed in production too, if a dev dependency shares them.
  const npm = ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only']
  const all = JSON.parse(execFileSync('npm', npm, { encoding: 'utf8', maxBuffer: 64 * 2 ** 20 }))
  const absent = new Set(
    Object.entries(parsed('package-lock.json').packages)
      .filter(([, entry]) => !isInstalled(entry))
      .map(([path, { version }]) => `${path.replace(/^.*node_modules\//, '')}@${version}`)
  )
  const edges = new Map(all.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]))
  // A name alone is not a reference: the one of a direct dependency is among those of the whole package.
  const direct = (edges.get(all.metadata.component['bom-ref']) ?? []).filter(ref =>
    names.includes(ref.replace(/@[^@]*$/, ''))
  )
  const reached = new Set(direct)
  for (const ref of reached) {
    for (const next of edges.get(ref) ?? []) if (!absent.has(next)) reached.add(next)
  }
  const graph = [...reached].map(ref => ({
    ref,
    dependsOn: (edges.get(ref) ?? []).filter(to => reached.has(to))
  }))
  return {
    ...all,
    metadata: { ...all.metadata, component },
    components: all.components.filter(found => reached.has(found['bom-ref'])),
    dependencies: [{ ref: component['bom-ref'], dependsOn: direct }, ...graph]
  }
}

/** The time and the serial number are the only parts that npm makes anew in each run. */
function reproducible({ serialNumber: _, ...sbom }) {
  const seconds = Number(process.env.SOURCE_DATE_EPOCH ?? 0)
  sbom.metadata.timestamp = new Date(seconds * 1000).toISOString()
  const hex = createHash('sha256').update(JSON.stringify(sbom)).digest('hex')
  // The form of a version 8 UUID (RFC 9562): the digits are a digest.
  const parts = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32)
  ]
  const { $schema, bomFormat, specVersion, ...rest } = sbom
  return { $schema, bomFormat, specVersion, serialNumber: `urn:uuid:${parts.join('-')}`, ...rest }
}
