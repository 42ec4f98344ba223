import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { temporaryFolder } from '../helpers/server.ts'
import { readCorpus, writeCorpus } from './corpus.ts'
import { corpusFile, targetNames } from './target.ts'

const file = join(temporaryFolder(), 'corpus.ndjson')

t.test('inputs of any bytes are read as they were written, each once, the shortest first', async t => {
  const inputs = ['{"a":1}\n', '', '\ufeff"\u2028', 'b', 'a', 'b'].map(text => Buffer.from(text))
  const binary = Buffer.of(0xff, 0x0a, 0x00)
  writeCorpus(file, [...inputs, binary])
  t.same(
    readCorpus(file).map(input => input.toString('hex')),
    ['', '61', '62', 'ff0a00', 'efbbbf22e280a8', '7b2261223a317d0a']
  )
})

t.test('a corpus that does not exist is empty', async t => {
  t.same(readCorpus(join(temporaryFolder(), 'corpus.ndjson')), [])
})

t.test('every corpus in the repository is in its written order', async t => {
  for (const name of targetNames) {
    writeCorpus(file, readCorpus(corpusFile(name)))
    t.equal(readFileSync(file, 'utf8'), readFileSync(corpusFile(name), 'utf8'), name)
  }
})
