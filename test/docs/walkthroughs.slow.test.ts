import { writeFileSync } from 'node:fs'
import t from 'tap'
import { consoleClient } from '../helpers/console.ts'
import { answers } from '../helpers/receiver.ts'
import { until } from '../helpers/server.ts'
import { startStack } from '../helpers/stack.ts'
import { stepsOf, walk } from '../helpers/walkthrough.ts'

t.setTimeout(600_000)

const ID = '01KASN0R00Z3NDEKTSV4RRFFQ6'
const ALIASES = `alias cio-webhook='docker-compose exec webhook cio-webhook'
alias cio-webhook='npx cio-webhook'
alias cio-webhook='kubectl exec -i deploy/cio-webhook -- cio-webhook'`

t.test('each incident is seen, fixed and over as the page has it', async t => {
  const stack = await startStack(t)
  const { env, folder, names, receiver, writeLog: prepare } = stack
  await walk(t, stepsOf('docs/walkthroughs/incident.md'), {
    env,
    folder,
    names,
    prepare,
    actions: {
      [ALIASES]: async () => undefined,
      'docker-compose stop redis\ncio-webhook send --count 2': async () => {
        await stack.stopRedis()
        // The first cause can be a lost connection. The page shows the one that follows.
        await until('the cause', async () => stack.service.output().includes('ECONNREFUSED'))
        return 'cio-webhook send --count 2 || test $? = 1'
      },
      'docker-compose start redis': async () => {
        const { text } = await consoleClient(`http://localhost:${env['CONSOLE_PORT']}`).get('/')
        t.match(text, /Deliveries get 503.*ECONNREFUSED/s, 'the overview of the console')
        await stack.startRedis()
        return undefined
      },
      'docker-compose pause crm\ncio-webhook send --set data.customer_id=4711': async () => {
        // A person who practises pauses it seconds after the outage of Redis, when it has got the events of then.
        await until('the events before', async () => receiver.requests.length === 2)
        receiver.behave(() => {})
        return 'cio-webhook send --set data.customer_id=4711'
      },
      'docker-compose unpause crm\ncio-webhook send': async () => {
        receiver.behave(answers(204))
        return 'cio-webhook send'
      },
      'docker-compose run --rm -T keys < key.txt': async () => {
        writeFileSync(stack.keyFile, 'the-key-that-customer.io-shows')
        // A command that is started by hand comes later than this.
        await until('the new key', async () =>
          stack.service.output().includes('signing keys of a source have changed')
        )
        return undefined
      }
    }
  })
})

t.test(
  'a customer’s event is found, shown and sent again as the page has it, also in the console',
  async t => {
    const { env, folder, names, receiver, writeLog: prepare } = await startStack(t)
    await walk(t, stepsOf('docs/walkthroughs/find-an-event.md'), { env, folder, names, prepare })
    t.same(
      receiver.requests.map(({ headers }) => headers['webhook-id']),
      [ID, ID],
      'sent, and sent again'
    )

    const person = consoleClient(`http://localhost:${env['CONSOLE_PORT']}`)
    await person.get('/events')
    const found = await person.post('/events', { email: 'ada@example.com' })
    const [, path = ''] = /href="(\/events\/\d+-\d+-\d+)"/.exec(found.text) ?? []
    const event = await person.get(path)
    t.match(event.text, 'acknowledged')
    t.match(event.text, 'Send again')
    await person.get(`${path}/send-again?consumer=crm`)
    t.equal((await person.post(`${path}/send-again`, { consumer: 'crm' })).status, 303)
    await until('sent again', async () => receiver.requests.length === 3)
  }
)
