import { createHmac } from 'node:crypto'
import { Agent, request } from 'undici'
import { WEBHOOK_SECRET } from '../../test/helpers/consumers-file.ts'
import { eventText } from './log.ts'

/*
 * The baseline of HTTP push: a plain loop over undici, which posts signed bodies from memory and does nothing else: no
 * log, no order, no attempts, no retries. Arguments: URL, events, concurrency. Each message starts a run; the answer is
 * sent at its end.
 */

const [, , url = '', events = '', concurrency = ''] = process.argv
const agent = new Agent({ connections: Number(concurrency), pipelining: 1 })
const key = Buffer.from(WEBHOOK_SECRET.slice('whsec_'.length), 'base64')
const bodies = Array.from({ length: 1000 }, (_, index) => eventText(index))

process.on('message', async () => {
  let next = 0
  const loop = async (): Promise<void> => {
    while (next < Number(events)) await post(next++)
  }
  await Promise.all(Array.from({ length: Number(concurrency) }, loop))
  process.send?.('done')
})
process.on('disconnect', () => process.exit())
process.send?.('ready')

async function post(index: number): Promise<void> {
  const body = bodies[index % bodies.length] ?? ''
  const id = `event-${index}`
  const timestamp = Math.floor(Date.now() / 1000)
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
  const response = await request(url, {
    dispatcher: agent,
    method: 'POST',
    headers: {
      'content-type': 'application/cloudevents+json; charset=utf-8',
      'webhook-id': id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': `v1,${signature}`
    },
    body
  })
  await response.body.dump()
  if (response.statusCode !== 204) throw new Error(`status ${response.statusCode}`)
}
