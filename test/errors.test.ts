import { readFileSync } from 'node:fs'
import t from 'tap'
import { errorCode, errorResponses } from '../src/errors.ts'

function thrownBy(work: () => unknown): unknown {
  try {
    return work()
  } catch (error) {
    return error
  }
}

for (const [what, error, code] of [
  ['an error of Node', thrownBy(() => readFileSync('/does/not/exist')), 'ENOENT'],
  ['an error without a code', new Error('x'), undefined],
  ['a code that is a number', Object.assign(new Error('x'), { code: 404 }), undefined],
  ['an object that is not an error', { code: 'ENOENT' }, undefined],
  ['undefined', undefined, undefined]
] as const) {
  t.test(`the code of ${what} is ${code}`, async t => t.equal(errorCode(error), code))
}

t.test('every refusal has a body of `error` and `code` only, and cannot be changed', async t => {
  for (const [code, refusal] of Object.entries(errorResponses)) {
    const { error, ...rest } = JSON.parse(refusal.body)
    t.type(error, 'string')
    t.same(rest, { code })
    t.ok(Object.isFrozen(refusal))
  }
})
