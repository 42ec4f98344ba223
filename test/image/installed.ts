// Scripts that run inside of the image and print JSON.

/** JavaScript: `manifests`, the folder and the package.json of each installed package. */
const MANIFESTS = `
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
const manifests = readdirSync('/app/node_modules', { recursive: true })
  .filter(path => /(^|node_modules\\/)(@[^/]+\\/)?[^@/][^/]*\\/package\\.json$/.test(path))
  .map(path => join('/app/node_modules', path))
  .map(path => ({ folder: dirname(path), manifest: JSON.parse(readFileSync(path, 'utf8')) }))
  .filter(({ manifest }) => manifest.version !== undefined)`

/** Prints name and version of each installed package. */
export const INSTALLED = `${MANIFESTS}
const packages = manifests.map(({ manifest }) => manifest.name + '@' + manifest.version)
console.log(JSON.stringify([...new Set(packages)]))`

/** Prints what the manifests give to Node and is not there. Not all of it is code: bowser exports its README. */
export const MISSING_TARGETS = `${MANIFESTS}
const missing = []
for (const { folder, manifest } of manifests) {
  for (const kind of ['import', 'require']) {
    const conditions = new Set(['node', 'node-addons', 'module-sync', 'default', kind])
    const targets = [chosen(entriesOf(manifest), conditions)].flat(Infinity)
    for (const target of new Set(targets)) {
      if (typeof target !== 'string' || /\\*|\\.md$|\\.d\\.[cm]?ts$/.test(target)) continue
      const path = join(folder, target)
      const found = [path, path + '.js', path + '.json', path + '.node', join(path, 'index.js')].some(existsSync)
      if (!found) missing.push(path)
    }
  }
}
console.log(JSON.stringify(missing))

/** The values of the entry points, which are conditions or paths. */
function entriesOf({ exports, main = 'index.js' }) {
  if (exports === undefined) return [main]
  const named = typeof exports === 'object' && Object.keys(exports).some(key => key.startsWith('.'))
  return named ? Object.values(exports) : [exports]
}

function chosen(target, conditions) {
  if (Array.isArray(target)) return target.map(each => chosen(each, conditions))
  if (typeof target !== 'object' || target === null) return target
  for (const [condition, next] of Object.entries(target)) {
    const found = conditions.has(condition) ? chosen(next, conditions) : undefined
    if (found !== undefined) return found
  }
}`
