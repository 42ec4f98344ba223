import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createCloseStack } from '../../src/async/close-stack.ts'

t.test('what was opened last is closed first, one after the other, and once', async t => {
  const closed: string[] = []
  const opened = createCloseStack()
  opened.add(() => closed.push('first'))
  opened.add(async () => {
    await sleep(10)
    closed.push('second')
  })
  await opened.close()
  await opened.close()
  t.same(closed, ['second', 'first'])
})

t.test('one that fails does not keep the others open, and its error is reported', async t => {
  const closed: string[] = []
  const opened = createCloseStack()
  opened.add(() => closed.push('first'))
  opened.add(() => Promise.reject(new Error('second')))
  opened.add(() => closed.push('third'))
  await t.rejects(opened.close(), { message: 'second' })
  t.same(closed, ['third', 'first'])
})
