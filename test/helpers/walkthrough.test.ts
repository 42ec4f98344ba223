import { rmSync } from 'node:fs'
import t from 'tap'
import { temporaryFolder } from './server.ts'
import { run, walk } from './walkthrough.ts'

const options = { env: { PATH: process.env['PATH'] }, folder: temporaryFolder(), names: {} }
t.teardown(() => rmSync(options.folder, { recursive: true }))

t.test(
  'a walkthrough ends at the first failed step, with what it printed, and not at one after it',
  async t => {
    const waits = { command: 'until false; do sleep 1; done', output: undefined }
    const ends = { command: 'echo pulled; echo "no space left" >&2; exit 17', output: undefined }
    await t.rejects(walk(t, [ends, waits], options), {
      message: /exit 17\n\nIt ended with 17\. It printed:\n\npulled\nno space left\n/
    })
    const other = { command: 'echo openssl 2', output: 'openssl 1\n' }
    await t.rejects(walk(t, [other, waits], options), {
      message: /The page shows:\n\nopenssl 1\n\. It printed:\n\nopenssl 2\n/
    })
  }
)

t.test('a command that does not end is killed, with the processes that it started', async t => {
  const { isTooLong, printed } = await run('echo waits; (while true; do sleep 1; done)', options, 300)
  t.same({ isTooLong, printed }, { isTooLong: true, printed: 'waits\n' })
})
