// Tested by test/cli/serve/check-consumers.slow.test.ts.
import { connect as connectPlain, isIP } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { socketHost } from '../../address.ts'
import { failureCode, reasonOf } from '../../dispatch/failure.ts'
import type { Sink } from '../../dispatch/sink.ts'
import { createAmqpSink } from '../../dispatch/sinks/amqp.ts'
import { createNatsSink } from '../../dispatch/sinks/nats.ts'
import { ReportedError } from '../../errors.ts'
import type { ConsumerSettings } from '../../settings/consumers-file.ts'
import { shownUrl } from '../consumers/shown-settings.ts'
import { brokerFix, connectionFix } from '../consumers/test-fix.ts'
import type { PreflightResult } from './preflight.ts'

const TIMEOUT_MS = 5000

/**
 * Whether the targets of the push consumers can be reached. No event is sent. Of an HTTP consumer only the connection
 * and its certificate are checked, since a request could have an effect. Of a broker also the login; like the service
 * at its start, it declares the exchange, and creates the stream if it is missing.
 */
export const checkConsumers = (consumers: readonly ConsumerSettings[]): Promise<readonly PreflightResult[]> =>
  Promise.all(consumers.map(checkConsumer))

async function checkConsumer(settings: ConsumerSettings): Promise<PreflightResult> {
  const check = `consumer ${settings.name}`
  try {
    return { check, status: 'pass', detail: await reach(settings) }
  } catch (error) {
    const cause = causeOf(error)
    const fix = settings.type === 'http' ? connectionFix(cause) : brokerFix(cause, settings.type)
    const target = settings.type === 'nats' ? settings.servers.join(', ') : settings.url
    return {
      check,
      status: 'fail',
      detail: `${shownUrl(target)}: ${cause}`,
      fix: `${fix}. Addresses and logins are in CONSUMERS_FILE; until then its events wait in the log`
    }
  }
}

async function reach(settings: ConsumerSettings): Promise<string> {
  switch (settings.type) {
    case 'http': {
      const url = new URL(settings.url)
      await openSocket(url)
      return url.protocol === 'https:'
        ? `${url.host}: connected, certificate accepted`
        : `${url.host}: connected`
    }
    case 'nats':
      await openSink(createNatsSink(settings))
      return `${settings.servers.join(', ')}: logged in, stream ${settings.stream}`
    case 'amqp':
      await openSink(createAmqpSink(settings))
      return `${shownUrl(settings.url)}: logged in, exchange ${settings.exchange}`
  }
}

/** Without events, a sink only opens its connection. */
async function openSink(sink: Sink): Promise<void> {
  try {
    await sink.publish([], AbortSignal.timeout(2 * TIMEOUT_MS))
  } finally {
    await sink.close()
  }
}

function openSocket(url: URL): Promise<void> {
  const isTls = url.protocol === 'https:'
  const options = { host: socketHost(url), port: Number(url.port || (isTls ? 443 : 80)) }
  return new Promise<void>((resolve, reject) => {
    // The server name of TLS must not be an address; without it, the certificate is checked against `host`.
    const servername = isIP(options.host) === 0 ? { servername: options.host } : {}
    const socket = isTls ? connectTls({ ...options, ...servername }) : connectPlain(options)
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new ReportedError('no answer within 5 s')))
    socket.once(isTls ? 'secureConnect' : 'connect', () => {
      socket.destroy()
      resolve()
    })
    socket.once('error', reject)
  })
}

const causeOf = (error: unknown): string =>
  error instanceof ReportedError ? reasonOf(error) : (failureCode(error) ?? 'it does not answer as expected')
