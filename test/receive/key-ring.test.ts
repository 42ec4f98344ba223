import t from 'tap'
import { createKeyRing } from '../../src/receive/key-ring.ts'
import { Secret } from '../../src/secret.ts'
import { signingKeys } from '../../src/settings/sources.ts'

type Observation = readonly [current: string | undefined, previous?: string]

/** The keys of a ring that starts with `initial` after each observation. */
function history(initial: Observation, ...observations: Observation[]): string[] {
  const ring = createKeyRing(signingKeys(initial[0], initial[1]))
  return observations.map(([current, previous]) => {
    ring.observe({
      current: current === undefined ? undefined : new Secret(current),
      previous: previous === undefined ? undefined : new Secret(previous),
      pending: undefined
    })
    return ring
      .keys()
      .map(({ label, secret }) => `${label === 'current' ? '+' : '-'}${secret.reveal()}`)
      .join(' ')
  })
}

t.test('the keys follow the secret store', async t => {
  const table: readonly [name: string, initial: Observation, steps: Observation[], expected: string[]][] = [
    ['nothing new', ['a'], [['a']], ['+a']],
    ['a replaced key stays until dropped', ['a'], [['b'], ['b'], ['b']], ['+b -a', '+b -a', '+b -a']],
    [
      'the store keeps the old key, then drops it',
      ['a'],
      [['b'], ['b', 'a'], ['b']],
      ['+b -a', '+b -a', '+b']
    ],
    [
      'the old key appears first, as a rotation writes it',
      ['a'],
      [
        ['a', 'a'],
        ['b', 'a']
      ],
      ['+a', '+b -a']
    ],
    ['a key that is put beside the current one', ['a'], [['a', 'z']], ['+a -z']],
    ['nothing could be read: nothing changes', ['a'], [[undefined], [undefined, 'a']], ['+a', '+a']],
    ['a rotation that is taken back', ['a'], [['b'], ['a']], ['+b -a', '+a -b']],
    [
      'two in a row',
      ['a'],
      [
        ['b', 'a'],
        ['c', 'b']
      ],
      ['+b -a', '+c -b -a']
    ],
    ['and both are dropped', ['a'], [['b', 'a'], ['c', 'b'], ['c']], ['+b -a', '+c -b -a', '+c']],
    [
      'never more than three old ones',
      ['a'],
      [['b'], ['c'], ['d'], ['e']],
      ['+b -a', '+c -b -a', '+d -c -b -a', '+e -d -c -b']
    ],
    ['a previous key of the start stays until dropped', ['b', 'a'], [['b']], ['+b -a']],
    ['and goes when the place had it and lets go', ['b', 'a'], [['b', 'a'], ['b']], ['+b -a', '+b']]
  ]
  for (const [name, initial, steps, expected] of table) t.same(history(initial, ...steps), expected, name)
})
