import { connect } from 'node:net'
import { parentPort, Worker, workerData } from 'node:worker_threads'
import { WEBHOOK_PATH } from '../helpers/sign.ts'
import { count } from './ledger.ts'

/** A flood of large bodies: each connection is opened again as soon as it is closed. */
export interface Flood {
  readonly port: number
  readonly connections: number
  readonly localAddress: string
  /** Is the last byte sent? */
  readonly complete: boolean
  /** Does each connection have its own `x-forwarded-for` address, as behind a proxy? */
  readonly forwarded: boolean
  readonly seconds: number
}

const BODY_BYTES = 5 * 1024 * 1024

/** Runs in a thread, so that it does not delay the authentic deliveries. @returns number of responses by status */
export function flood(options: Flood): Promise<Readonly<Record<string, number>>> {
  const worker = new Worker(new URL(import.meta.url), { workerData: options })
  return new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
}

async function run({ port, connections, localAddress, complete, forwarded, seconds }: Flood) {
  const body = Buffer.alloc(complete ? BODY_BYTES : BODY_BYTES - 1, 'x')
  const answers = new Map<string, number>()
  const endMs = performance.now() + seconds * 1000
  const attack = (number: number): Promise<void> =>
    new Promise(resolve => {
      const socket = connect({ port, host: '127.0.0.1', localAddress })
      let received = ''
      const timer = setTimeout(() => socket.destroy(), Math.max(0, endMs - performance.now()))
      socket.on('error', () => {})
      socket.on('data', chunk => {
        received += chunk
      })
      socket.on('close', () => {
        clearTimeout(timer)
        count(answers, /^HTTP\/1\.1 (\d{3})/.exec(received)?.[1] ?? 'none')
        resolve()
      })
      const caller = forwarded ? `x-forwarded-for: 203.0.113.${number}\r\n` : ''
      socket.write(
        `POST ${WEBHOOK_PATH} HTTP/1.1\r\nhost: x\r\n${caller}content-length: ${BODY_BYTES}\r\n\r\n`
      )
      socket.write(body)
    })
  await Promise.all(
    Array.from({ length: connections }, async (_, number) => {
      while (performance.now() < endMs) await attack(number)
    })
  )
  return Object.fromEntries(answers)
}

if (parentPort !== null) parentPort.postMessage(await run(workerData))
