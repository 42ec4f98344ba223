// The peer "Fastify with BullMQ": the job id is the event id, so the queue ignores an id while it holds its job.
// It cannot answer "duplicate", and forgets an id as soon as its job is removed.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { Queue } from 'bullmq'
import { fastify } from 'fastify'
import { cleanBasic } from './basic.ts'

const secret = process.env['CIO_WEBHOOK_SECRET'] ?? ''
const TOLERANCE_SECONDS = 687_600
const FUTURE_SECONDS = 300

const queue = new Queue('webhooks', {
  connection: { host: '127.0.0.1', port: Number(process.env['REDIS_PORT']) },
  defaultJobOptions: { removeOnComplete: false, removeOnFail: false }
})

const app = fastify()
app.removeAllContentTypeParsers()
app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
app.post('/api/cio/webhook', async (request, reply) => {
  const body = request.body as Buffer
  const { 'x-cio-timestamp': timestamp, 'x-cio-signature': signature } = request.headers
  if (!verified(body, String(timestamp), String(signature))) {
    return reply.code(401).send({ error: 'Invalid webhook signature', code: 'CIO_SIGNATURE_INVALID' })
  }
  const payload = JSON.parse(body.toString())
  await queue.add(`io.customer.${payload.object_type}.${payload.metric}`, cleanBasic(payload), {
    jobId: payload.event_id
  })
  return { status: 'accepted', id: payload.event_id }
})
await app.listen({ port: Number(process.env['PORT']), host: '127.0.0.1' })

function verified(body: Buffer, timestamp: string, signature: string): boolean {
  const age = Date.now() / 1000 - Number(timestamp)
  if (!(age < TOLERANCE_SECONDS && age > -FUTURE_SECONDS)) return false
  const mac = createHmac('sha256', secret).update(`v0:${timestamp}:`).update(body).digest()
  const claimed = Buffer.from(signature, 'hex')
  return claimed.length === mac.length && timingSafeEqual(claimed, mac)
}
