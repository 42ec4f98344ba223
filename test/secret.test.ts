import { Console } from 'node:console'
import { Writable } from 'node:stream'
import { format, inspect } from 'node:util'
import { Worker } from 'node:worker_threads'
import { pino } from 'pino'
import t from 'tap'
import { describeError } from '../src/ops/logger.ts'
import { Secret } from '../src/secret.ts'

const VALUE = 'the-value-nobody-may-see'
const secret = new Secret(VALUE)

/** Everything that was written while `write` ran. */
function written(write: (stream: Writable) => void): string {
  const chunks: string[] = []
  write(
    new Writable({
      write: (chunk, _encoding, done) => {
        chunks.push(String(chunk))
        done()
      }
    })
  )
  return chunks.join('')
}

const consoleOn = (stream: Writable) => new Console({ stdout: stream, stderr: stream })
const holder = () => ({ name: 'holder', key: secret, list: [secret], map: new Map([['key', secret]]) })

const attempts: Readonly<Record<string, () => string>> = {
  'String()': () => String(secret),
  'a template': () => `${secret}`,
  concatenation: () => 'key: '.concat(secret as unknown as string),
  'a join': () => [secret].join(),
  'a locale string': () => secret.toLocaleString(),
  JSON: () => JSON.stringify(secret),
  'JSON of what holds it': () => JSON.stringify(holder()),
  inspect: () => inspect(secret),
  'inspect with everything on': () => inspect(holder(), { depth: null, showHidden: true, getters: true }),
  'inspect that ignores custom forms': () => inspect(holder(), { customInspect: false, showHidden: true }),
  'format %s %o %O %j': () => format('%s %o %O %j', secret, secret, secret, secret),
  'console.log': () => written(stream => consoleOn(stream).log(secret, holder())),
  'console.dir': () => written(stream => consoleOn(stream).dir(holder(), { depth: null, showHidden: true })),
  'console.table': () => written(stream => consoleOn(stream).table([holder()])),
  pino: () => written(stream => pino(stream).info({ key: secret, holder: holder() }, 'hello %s', secret)),
  'an error message': () => String(new Error(`refused: ${secret}`).stack),
  'a cause': () => inspect(new Error('refused', { cause: secret }), { depth: null, showHidden: true }),
  'a logged cause': () => JSON.stringify(describeError(new Error('refused', { cause: secret }))),
  'an error with a field': () => inspect(Object.assign(new Error('refused'), { secret })),
  structuredClone: () => inspect(structuredClone(secret), { showHidden: true }),
  'its keys and entries': () => JSON.stringify([Object.entries(secret), Reflect.ownKeys(secret)]),
  'a copy of its fields': () => JSON.stringify({ ...secret, ...Object.assign({}, secret) }),
  'a query string': () => new URLSearchParams({ key: String(secret) }).toString(),
  'its id': () => secret.id
}

for (const [way, attempt] of Object.entries(attempts)) {
  t.test(`a secret that is shown by accident shows nothing: ${way}`, async t => {
    const shown = attempt()
    t.equal(typeof shown, 'string')
    t.notMatch(shown, VALUE)
    t.notMatch(shown, Buffer.from(VALUE).toString('base64').slice(0, 20))
  })
}

t.test('a secret that is posted to another thread arrives without its value', async t => {
  const program = `
    const { parentPort } = require('node:worker_threads')
    const { inspect } = require('node:util')
    parentPort.on('message', message => parentPort.postMessage(inspect(message, { showHidden: true })))`
  const worker = new Worker(program, { eval: true })
  t.teardown(() => worker.terminate())
  const answer = new Promise<string>(resolve => worker.once('message', resolve))
  worker.postMessage(secret)
  t.notMatch(await answer, VALUE)
})

t.test('its value comes out by reveal alone, and an empty one is refused', async t => {
  t.equal(secret.reveal(), VALUE)
  t.throws(() => new Secret(''), { name: 'TypeError' })
})

t.test('two secrets are compared by value, and named by an id that differs with it', async t => {
  t.equal(secret.equals(new Secret(VALUE)), true)
  t.equal(secret.equals(new Secret(`${VALUE}x`)), false)
  t.match(secret.id, /^[0-9a-f]{8}$/)
  t.equal(secret.id, new Secret(VALUE).id)
  t.not(secret.id, new Secret(`${VALUE}x`).id)
})
