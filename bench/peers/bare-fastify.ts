// The baseline: a Fastify route that reads the same bodies and sends the same responses, without checks or storage.
import { fastify } from 'fastify'

const app = fastify()
app.removeAllContentTypeParsers()
app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
app.post('/api/cio/webhook', async (_request, reply) =>
  reply
    .header('content-type', 'application/json; charset=utf-8')
    .send('{"status":"accepted","id":"01J00000000000000000000000"}')
)
await app.listen({ port: Number(process.env['PORT']), host: '127.0.0.1' })
