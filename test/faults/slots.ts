import type { Random } from '../helpers/random.ts'
import type { TestRedis } from '../helpers/redis.ts'

/** Keys moved at once: few, so that many deliveries arrive during a move. */
const KEYS_PER_STEP = 5

/** Moves the slot of a key, with its keys, to another master, as resharding does. */
export async function moveSlot(nodes: readonly TestRedis[], key: string, random: Random): Promise<void> {
  const [witness] = nodes
  if (witness === undefined) throw new RangeError('no nodes')
  const slot = Number(await witness.client.cluster('KEYSLOT', key))
  const ids = await Promise.all(nodes.map(async ({ client }) => String(await client.cluster('MYID'))))
  const owner = await ownerOf(witness, slot)
  const from = ids.indexOf(owner)
  const others = ids.map((_, index) => index).filter(index => index !== from)
  const to = random.pick(others)
  const [source, target] = [nodes[from], nodes[to]]
  if (source === undefined || target === undefined) throw new Error(`no master owns slot ${slot}`)

  await target.client.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', ids[from] ?? '')
  await source.client.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', ids[to] ?? '')
  for (;;) {
    const keys = (await source.client.call('CLUSTER', 'GETKEYSINSLOT', slot, KEYS_PER_STEP)) as string[]
    if (keys.length === 0) break
    await source.client.call('MIGRATE', '127.0.0.1', target.port, '', 0, 5000, 'KEYS', ...keys)
  }
  // The new owner first, so that the slot always has an owner.
  for (const node of [target, source, ...nodes]) {
    await node.client.call('CLUSTER', 'SETSLOT', slot, 'NODE', ids[to] ?? '')
  }
}

async function ownerOf(witness: TestRedis, slot: number): Promise<string> {
  const ranges = await witness.client.cluster('SLOTS')
  const range = ranges.find(([first, last]) => slot >= first && slot <= last)
  return range?.[2]?.[2] ?? ''
}
