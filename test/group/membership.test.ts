import t from 'tap'
import { assignedPartitions, createMembership } from '../../src/group/membership.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'

t.test('members share all partitions, and no two differ by more than one', t => {
  for (const [members, partitions] of [
    [1, 1],
    [2, 1],
    [3, 4],
    [4, 3],
    [3, 9]
  ] as const) {
    const tokens = Array.from({ length: members }, (_, index) => `m${index}`)
    const shares = tokens.map(token => [...assignedPartitions(token, tokens, partitions)])
    t.same(
      shares.flat().sort((a, b) => a - b),
      Array.from({ length: partitions }, (_, partition) => partition)
    )
    const sizes = shares.map(({ length }) => length)
    t.ok(Math.max(...sizes) - Math.min(...sizes) <= 1, sizes.join())
  }
  t.same([...assignedPartitions('unknown', ['m0'], 4)], [], 'not a member')
  t.end()
})

t.test('every member gets the same list, without members that left or expired', async t => {
  const { client, stop } = await startRedis()
  t.teardown(() => stop())
  const member = (token: string, lifetimeMs: number) => createMembership(client, 'members', token, lifetimeMs)
  const [b, a, short] = [member('b', 60_000), member('a', 60_000), member('short', 50)]
  t.same(await b.heartbeat(), ['b'])
  t.same(await short.heartbeat(), ['b', 'short'])
  t.same(await a.heartbeat(), ['a', 'b', 'short'])
  await until('one has expired', async () => (await b.heartbeat()).length === 2)
  t.same(await b.heartbeat(), ['a', 'b'])
  await a.leave()
  t.same(await b.heartbeat(), ['b'])
  await b.leave()
  t.equal(await client.exists('members'), 0)
})
