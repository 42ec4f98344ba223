// Tested by test/console/pages/consumers.slow.test.ts.
import type { ConsumerStatus } from '../../dispatch/consumer-status.ts'
import { pill, type Tone } from '../components.ts'
import type { Html } from '../html.ts'

type State = ConsumerStatus['state']

const tones: Readonly<Record<State, Tone>> = {
  ok: 'good',
  failing: 'bad',
  disabled: 'bad',
  no_members: 'warning',
  paused: 'warning'
}

export const stateNames: Readonly<Record<State, string>> = {
  ok: 'ok',
  failing: 'failing',
  disabled: 'disabled',
  no_members: 'no members',
  paused: 'paused'
}

export const statePill = (state: State): Html => pill(tones[state], stateNames[state])
