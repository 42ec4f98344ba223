import t from 'tap'
import { mutatedFiles } from './mutate.ts'
import { mutations } from './mutations.ts'

// If a test here fails after a rename in src, edit the table `places` in mutations.ts.
for (const mutation of mutations) {
  t.test(`the mutation ${mutation.name} still applies, and its code parses`, async t => {
    t.equal(mutatedFiles(mutation).size, new Set(mutation.edits.map(({ place }) => place.file)).size)
  })
}
