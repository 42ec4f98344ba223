// The routes: test/console/api.slow.test.ts.
import t from 'tap'
import { requireHandled } from '../../../src/console/api/parked-routes.ts'

const replay = { replayed: 0, left: [], unknown: [], interrupted: false }
const drop = { dropped: 0, unknown: [], interrupted: false }

t.test('a parked delivery counts as replayed or dropped only if it was', async t => {
  requireHandled('0-1-1', { ...replay, replayed: 1 })
  requireHandled('0-1-1', { ...drop, dropped: 1 })
  for (const [result, code, message] of [
    [{ ...replay, interrupted: true }, 'CIO_CONFLICT', '0-1-1 stays parked: this was interrupted.'],
    [{ ...drop, interrupted: true }, 'CIO_CONFLICT', '0-1-1 stays parked: this was interrupted.'],
    [{ ...replay, left: [{ delivery: '0-1-1', why: 'not JSON' }] }, 'CIO_CONFLICT', 'parked: not JSON.'],
    [{ ...replay, unknown: ['0-1-1'] }, 'CIO_NOT_FOUND', '0-1-1 was not found'],
    [{ ...drop, unknown: ['0-1-1'], interrupted: true }, 'CIO_NOT_FOUND', '0-1-1 was not found'],
    [drop, 'CIO_NOT_FOUND', '0-1-1 was not found']
  ] as const) {
    t.throws(() => requireHandled('0-1-1', result), { code, message })
  }
})
