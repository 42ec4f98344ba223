import { type Behaviour, startReceiver, type TestReceiver } from '../../helpers/receiver.ts'
import { problemOfPush } from './arrivals.ts'

/** An HTTP consumer. `taken` are the ids of the events that it answered with 2xx. */
interface Endpoint {
  readonly receiver: TestReceiver
  readonly taken: string[]
  readonly problems: string[]
  /** From now on every request is answered with 2xx. */
  recover(): void
}

/** @param mood how the n-th request, with this event, is mistreated; `undefined`: it is accepted */
export async function startEndpoint(
  mood: (count: number, id: string) => Behaviour | undefined
): Promise<Endpoint> {
  const taken: string[] = []
  const problems: string[] = []
  let recovered = false
  const behaviour: Behaviour = (request, response, count) => {
    const problem = problemOfPush(request)
    if (problem !== undefined) problems.push(problem)
    const id = request.headers['webhook-id'] ?? ''
    const misbehaves = recovered ? undefined : mood(count, id)
    if (misbehaves !== undefined) return misbehaves(request, response, count)
    taken.push(id)
    response.writeHead(204).end()
  }
  const recover = (): void => {
    recovered = true
  }
  const receiver = await startReceiver(behaviour, 0, { keeps: false })
  return { receiver, taken, problems, recover }
}

export const fails: Behaviour = (_request, response) => void response.writeHead(500).end()
export const leaves: Behaviour = (_request, response) => void response.writeHead(410).end()
export const hangs: Behaviour = () => {}
export const resets: Behaviour = (_request, response) => void response.socket?.resetAndDestroy()
/** A third of the events is rejected, however often they come. */
export const isRejected = (id: string): boolean =>
  Buffer.from(id).reduce((sum, byte) => sum + byte, 0) % 3 === 0
/** Of thirty requests, one fails, one hangs, one is cut off, and the others are accepted. */
export const moody = (count: number): Behaviour | undefined =>
  new Map([
    [3, fails],
    [13, hangs],
    [23, resets]
  ]).get(count % 30)
