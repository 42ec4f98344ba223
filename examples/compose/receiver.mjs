// The smallest receiver of pushes: verifies the signature (Standard Webhooks), and prints each event on one line.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

const MAX_BYTES = 8 * 1024 * 1024 // An event is never longer.
const TOLERANCE_SECONDS = 300
const secret = readFileSync('/run/secrets/crm', 'utf8').trim()
const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')

function isAuthentic(headers, body) {
  const { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': signatures = '' } = headers
  if (Math.abs(Date.now() / 1000 - Number(time)) <= TOLERANCE_SECONDS) {
    const expected = createHmac('sha256', key).update(`${id}.${time}.`).update(body).digest()
    // Several while the secret is rotated.
    return signatures.split(' ').some(text => {
      const [version, signature = ''] = text.split(',')
      const given = Buffer.from(signature, 'base64')
      return version === 'v1' && given.length === expected.length && timingSafeEqual(given, expected)
    })
  }
  return false
}

async function receive(request, response) {
  const chunks = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += chunk.length
    if (bytes > MAX_BYTES) throw new Error('too large')
    chunks.push(chunk)
  }
  const body = Buffer.concat(chunks)
  if (!isAuthentic(request.headers, body)) return response.writeHead(401).end()
  const event = JSON.parse(body.toString())
  // Store the event here, once per webhook-id. Answer 2xx only afterwards.
  process.stdout.write(`${event.type} of customer ${event.subject}: ${event.id}\n`)
  response.writeHead(204).end()
}

createServer((request, response) => {
  receive(request, response).catch(() => request.destroy())
}).listen(8080)
