// Events that would exceed 8 MiB.
import t from 'tap'
import { testGrowth } from './growing-bodies.ts'

testGrowth(t, [4 * 2 ** 20])
