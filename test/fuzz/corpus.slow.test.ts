import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import t from 'tap'
import { loadTarget, targetNames } from './target.ts'

// `scale` takes long, and measures: it is for `npm run fuzz` alone.
for (const name of targetNames.filter(name => name !== 'scale')) {
  t.test(`${name}: every input that fuzzing kept still keeps the promises`, async t => {
    const { fuzz, seeds } = await loadTarget(name)
    const folder = resolve('test/fuzz/corpus', name)
    t.ok(existsSync(folder), 'there is a corpus')
    for (const file of readdirSync(folder)) {
      t.doesNotThrow(() => fuzz(readFileSync(resolve(folder, file))), file)
    }
    for (const seed of seeds) fuzz(seed)
  })
}
