import t from 'tap'
import { readCorpus } from './corpus.ts'
import { corpusFile, loadTarget, targetNames } from './target.ts'

// `scale` measures CPU time and takes long: only `npm run fuzz` runs it.
for (const name of targetNames.filter(name => name !== 'scale')) {
  t.test(`${name}: every input of the corpus still passes`, async t => {
    const { fuzz, seeds } = await loadTarget(name)
    const corpus = readCorpus(corpusFile(name))
    t.ok(corpus.length > 0, 'the corpus has inputs')
    for (const [index, input] of corpus.entries()) {
      t.doesNotThrow(() => fuzz(input), `line ${index + 1}`)
    }
    for (const seed of seeds) fuzz(seed)
  })
}
