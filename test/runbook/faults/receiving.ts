import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { publishedAddresses } from '../../../src/receive/published-addresses.ts'
import { createClock } from '../../faults/clock.ts'
import { runToEnd } from '../../helpers/command.ts'
import { until } from '../../helpers/server.ts'
import { KEY, newBody, signV0 } from '../../helpers/sign.ts'
import { type Fault, rises } from '../fault.ts'
import type { World } from '../world.ts'

const FORBIDDEN = { series: /^cio_forbidden_but_authentic_total/, shows: rises }

const forwardedFor = (world: World, address: string) => (): Promise<number> => {
  const body = newBody()
  return world.post(body, { ...signV0(body), 'x-forwarded-for': address })
}

/** They have no customer id, so their own ids decide on the partition. */
async function deliverMany(world: World, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await world.post()
}

/** With 40 deliveries in a day, a silence is unusual after 12 h. */
const SILENT_SECONDS = 13 * 3600

export const receivingFaults: readonly Fault[] = [
  {
    name: 'The signing key is wrong',
    section: 'CioSigningKeyWrong',
    log: { names: /"outcome":"signature_invalid".*"reason":"mismatch"/ },
    metric: { series: /^cio_signature_failures_total\{.*reason="mismatch"/, shows: rises },
    status: { id: 'wrong_key', lastHour: true },
    commandsPrint: /reason="mismatch"\} [1-9]/,
    prepare: async world => {
      await world.startRedis()
      await world.start()
      return {
        // A changed file alone would not do: the service accepts the replaced key until it ends.
        begin: () => {
          world.setServiceKey('the-key-of-another-webhook')
          return world.start()
        },
        repair: async () => world.setServiceKey(KEY)
      }
    }
  },
  {
    name: 'A rotation is half finished',
    section: 'CioPreviousKeyUsed',
    log: { names: /"outcome":"accepted".*"key":"previous"/ },
    metric: { series: /^cio_signature_key_total\{.*key="previous"/, shows: rises },
    status: { id: 'previous_key_used' },
    prepare: async world => {
      await world.startRedis()
      await world.start()
      return {
        // The service has the new key; Customer.io still signs with the old one.
        begin: () => {
          world.setServiceKey('the-new-key')
          const previous = join(world.folder, 'previous')
          writeFileSync(previous, KEY)
          return world.start({ CIO_WEBHOOK_SECRET_PREVIOUS_FILE: previous })
        },
        repair: () => {
          world.setSenderKey('the-new-key')
          return world.start({ CIO_WEBHOOK_SECRET_PREVIOUS_FILE: undefined })
        }
      }
    }
  },
  {
    name: 'A proxy is not trusted',
    section: 'CioAddressListOutdated',
    log: {
      names: /they come through a proxy at 127\.0\.0\.1 that is not trusted; add it to TRUSTED_PROXIES/
    },
    metric: FORBIDDEN,
    status: {
      id: 'authentic_but_refused',
      says: /TRUSTED_PROXIES/,
      lastHour: true,
      also: ['no_trusted_proxies', 'persistence_weak']
    },
    commandsPrint: /add the address of the proxy to TRUSTED_PROXIES/,
    prepare: async world => {
      const [address = ''] = publishedAddresses
      await world.startRedis()
      await world.start()
      return {
        // Outside production, this machine may always deliver.
        begin: () => world.start({ NODE_ENV: 'production', CIO_ALLOWED_IPS: address }),
        deliver: forwardedFor(world, address),
        repair: () => world.start({ CIO_ALLOWED_IPS: '127.0.0.1', TRUSTED_PROXIES: '127.0.0.1' })
      }
    }
  },
  {
    name: 'The address list is outdated',
    section: 'CioAddressListOutdated',
    log: { names: /203\.0\.113\.7 is not an allowed source; add it to CIO_ALLOWED_IPS/ },
    metric: FORBIDDEN,
    status: { id: 'authentic_but_refused', says: /CIO_ALLOWED_IPS/, lastHour: true },
    commandsPrint: /add the address to CIO_ALLOWED_IPS/,
    prepare: async world => {
      await world.startRedis()
      await world.start({ TRUSTED_PROXIES: '127.0.0.1' })
      return {
        begin: async () => {},
        deliver: forwardedFor(world, '203.0.113.7'),
        repair: () => world.start({ CIO_ALLOWED_IPS: '127.0.0.1,203.0.113.7' }),
        finally: () =>
          until(
            'the new address is accepted',
            async () => (await forwardedFor(world, '203.0.113.7')()) === 200
          )
      }
    }
  },
  {
    name: 'The clock of the service is 10 min behind',
    section: 'wrong_clock',
    log: { names: /"reason":"timestamp_future","fix":"[^"]*clock of this machine/ },
    metric: { series: /^cio_signature_failures_total\{.*reason="timestamp_future"/, shows: rises },
    status: { id: 'wrong_clock', lastHour: true, also: ['clocks_differ'] },
    commandsPrint: /reason="timestamp_future"\} [1-9]/,
    prepare: async world => {
      const clock = createClock()
      world.atEnd(clock.remove)
      await world.startRedis()
      await world.start(clock.env)
      return {
        begin: async () => clock.set(-600),
        repair: async () => clock.set(0)
      }
    }
  },
  {
    name: 'Customer.io is silent',
    section: 'CioSenderSilent',
    log: { notShown: 'nothing arrives, so no line is written' },
    metric: {
      notShown: 'a counter that stands still; the alert compares it with the same hour of last week'
    },
    status: { id: 'no_deliveries' },
    normalForSeconds: SILENT_SECONDS,
    prepare: async world => {
      world.goBack(SILENT_SECONDS)
      await world.startRedis()
      await world.start()
      await deliverMany(world, 40)
      // Each process adds its counts to Redis once per second, by its clock.
      await sleep(2500)
      return {
        begin: async () => world.passTime(),
        deliver: async () => {},
        repair: async () => {}
      }
    }
  },
  {
    name: '`PARTITIONS` is wrong',
    section: 'partitions_lowered',
    log: { names: /PARTITIONS is probably wrong: PARTITIONS is 1, but the log has 4 partitions/ },
    metric: { notShown: 'the setting of a process: it is checked at its start' },
    status: { id: 'partitions_lowered' },
    prepare: async world => {
      await world.startRedis()
      await world.start({ PARTITIONS: '4' })
      await deliverMany(world, 30)
      return {
        begin: () => world.start({ PARTITIONS: '1' }),
        repair: () => world.start({ PARTITIONS: '4' })
      }
    }
  },
  {
    name: 'A run of the doctor left events',
    section: 'doctor_events',
    log: { names: /"type":"io\.customer\.doctor"/ },
    metric: { notShown: 'they count as deliveries: nothing is wrong, and no alert may fire' },
    status: { notShown: 'nothing is wrong: consumers do not get them' },
    commandsPrint: /doctor-[0-9a-f]+-\d+/,
    prepare: async world => {
      await world.startRedis()
      const receiver = await world.startReceiver()
      await world.start()
      return {
        begin: () => runToEnd(['doctor', `${world.url()}/api/cio/webhook`], world.env()),
        repair: async () => {},
        finally: async () => {
          const wrong = receiver.requests.filter(({ body }) => body.includes('io.customer.doctor'))
          if (wrong.length > 0) throw new Error(`the consumer got ${wrong.length} events of the doctor`)
        }
      }
    }
  }
]
