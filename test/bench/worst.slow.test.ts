import t from 'tap'
import { measureGrowth } from '../../bench/worst/growth.ts'
import { bodyOf } from '../../bench/worst/inputs.ts'
import { targets } from '../../bench/worst/targets.ts'

const KIB = 1024

t.test('a time that grows with the square of the input is reported as not linear', async t => {
  const quadratic = (length: number) => () => {
    const names: string[] = []
    for (let index = 0; index < length; index++) if (!names.includes(`${index}`)) names.push(`${index}`)
  }
  const { isLinear, ofDouble } = measureGrowth(quadratic(1500), quadratic(6000))
  t.notOk(isLinear, `${ofDouble}`)
})

t.test('the time for many spellings of a hashed name and as many other keys grows linearly', async t => {
  const target = targets.find(({ name }) => name === 'sanitizer, customerio')
  const prepared = (bytes: number) =>
    target?.prepare(bodyOf({ shape: 'spelled keys and others', unit: 'email' }, bytes)) ?? t.fail
  const { isLinear, ofDouble } = measureGrowth(prepared(256 * KIB), prepared(1024 * KIB), 2.3)
  t.ok(isLinear, `${ofDouble}`)
})
