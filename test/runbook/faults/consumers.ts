import { setTimeout as sleep } from 'node:timers/promises'
import { consumersFile, natsConsumer } from '../../helpers/consumers-file.ts'
import { startNats } from '../../helpers/nats.ts'
import { answers, type Behaviour, startReceiver } from '../../helpers/receiver.ts'
import { freePort } from '../../helpers/server.ts'
import { type Fault, isSet } from '../fault.ts'

const FAILS = /delivery to the consumer fails: its events are kept and retried/
const WORKS_AGAIN = /delivery to the consumer works again/
const failing = { series: /^cio_consumer_failing\{/, shows: isSet }

const SLOW_MINUTES = 20
const slow: Behaviour = async (_request, response) => {
  await sleep(1500)
  response.writeHead(204).end()
}

export const consumerFaults: readonly Fault[] = [
  {
    name: 'A consumer is down',
    section: 'CioConsumerFailing',
    log: { names: FAILS, over: WORKS_AGAIN },
    metric: failing,
    status: { id: 'consumer_failing', says: /ECONNREFUSED/ },
    commandsPrint: /ECONNREFUSED/,
    prepare: async world => {
      await world.startRedis()
      const receiver = await world.startReceiver()
      await world.start()
      return {
        begin: () => receiver.stop(),
        repair: async () => {
          const again = await startReceiver(answers(204), receiver.port)
          world.atEnd(() => again.stop())
        }
      }
    }
  },
  {
    name: 'A consumer is slow',
    section: 'CioConsumerBehind',
    log: { notShown: 'each attempt succeeds' },
    metric: { series: /^cio_consumer_oldest_unacknowledged_seconds\{/, shows: now => now >= 900 },
    status: { id: 'consumer_behind' },
    normalForSeconds: SLOW_MINUTES * 60,
    commandsPrint: /crm +http +ok/,
    prepare: async world => {
      world.goBack(SLOW_MINUTES * 60)
      await world.startRedis()
      const receiver = await world.startReceiver({ concurrency: 1 }, slow)
      await world.start()
      for (let n = 0; n < 40; n++) await world.post()
      return {
        // The backlog becomes old.
        begin: async () => world.passTime(),
        repair: async () => receiver.behave(answers(204))
      }
    }
  },
  {
    name: 'A consumer answers 410',
    section: 'CioConsumerDisabled',
    log: { names: /consumer disabled: it answered 410/ },
    metric: { series: /^cio_consumer_disabled\{/, shows: isSet },
    status: { id: 'consumer_disabled', says: /410/ },
    prepare: async world => {
      await world.startRedis()
      const receiver = await world.startReceiver()
      await world.start()
      return {
        begin: async () => receiver.behave(answers(410)),
        repair: async () => receiver.behave(answers(204))
      }
    }
  },
  {
    name: 'A consumer refuses one event',
    section: 'CioConsumerDeadLetters',
    log: { names: /"msg":"event moved to dead letters"/ },
    metric: { series: /^cio_consumer_dead_letters\{/, shows: now => now > 0 },
    status: { id: 'dead_letters', also: ['consumer_failing'] },
    commandsPrint: /422/,
    prepare: async world => {
      const poison = JSON.stringify({ event_id: 'poison', object_type: 'email', metric: 'sent' })
      await world.startRedis()
      const receiver = await world.startReceiver({ maxAttempts: 3 })
      await world.start()
      return {
        begin: async () => {
          receiver.behave((request, response) => {
            response.writeHead(request.body.includes('"poison"') ? 422 : 204).end()
          })
          await world.post(poison)
        },
        repair: async () => receiver.behave(answers(204))
      }
    }
  },
  {
    name: 'A broker is down',
    section: 'CioConsumerFailing',
    log: { names: FAILS, over: WORKS_AGAIN },
    metric: failing,
    status: { id: 'consumer_failing' },
    prepare: async world => {
      const [port, folder] = [await freePort(), world.folder]
      let nats = await startNats({ port, folder })
      world.atEnd(() => nats.stop())
      await world.startRedis()
      await world.start({
        CONSUMERS_FILE: consumersFile(natsConsumer('crm', nats.url))
      })
      return {
        begin: () => nats.stop('SIGKILL'),
        repair: async () => {
          nats = await startNats({ port, folder })
        }
      }
    }
  }
]
