import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { documentedCauses } from '../../src/redis/causes.ts'

const page = readFileSync('docs/troubleshooting.md', 'utf8')
const source = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter(path => path.endsWith('.ts'))
  .map(path => readFileSync(join('src', path), 'utf8'))
  .join('\n')

for (const [heading, minimum] of [
  ['The service does not start', 20],
  ['`connect` or `reconcile` fails', 20]
] as const) {
  t.test(`each message that the page explains under "${heading}" is one of the code`, async t => {
    const section = page.split('\n## ').find(text => text.startsWith(heading))
    const cells = [...(section ?? '').matchAll(/^\| (`.+?`) \| /gm)].map(([, cell = '']) => cell)
    const quoted = cells.flatMap(cell => [...cell.matchAll(/`([^`]+)`/g)].map(([, message = '']) => message))
    // `…`, a code in parentheses and a value are known only when the message is printed.
    const pieces = quoted.flatMap(message =>
      message.split(/…|\(E[A-Z]+\)|=tcp:|=/).map(piece => piece.trim())
    )
    t.ok(pieces.length > minimum)
    t.same(
      pieces.filter(piece => !source.includes(piece)),
      []
    )
  })
}

t.test('the page lists every cause for which Redis cannot be used, in the words of the service', async t => {
  const section = page.split('\n## ').find(text => text.startsWith('Redis is not reachable')) ?? ''
  const quoted = [...section.matchAll(/^\| `(.+?)` \| /gm)].map(([, cause = '']) =>
    cause.replaceAll('\\|', '|')
  )
  t.same(quoted.toSorted(), documentedCauses.toSorted())
})
