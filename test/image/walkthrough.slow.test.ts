import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { consoleClient } from '../helpers/console.ts'
import { freePort, temporaryFolder } from '../helpers/server.ts'
import { stepsOf, walk } from '../helpers/walkthrough.ts'
import { composeCommand } from './compose.ts'
import { BUILD_TIMEOUT_MS, docker, freshClone } from './docker.ts'

t.setTimeout(BUILD_TIMEOUT_MS + 300_000)

const NAME = `cio-walk-${process.pid}`
const IMAGE = `cio-webhook-proof:walk-${process.pid}`
const PAGE = 'docs/walkthroughs/first-event.md'

t.test('a newcomer who follows the page gets an event at a consumer of their own', async t => {
  const folder = temporaryFolder()
  const [port, consolePort] = [await freePort(), await freePort()]
  await freshClone(folder)
  // The only change to a file of the clone: the port may be in use on this machine.
  const override = join(folder, 'examples/compose/docker-compose.override.yml')
  const text = readFileSync(override, 'utf8')
  writeFileSync(override, text.replace('127.0.0.1:3100:', `127.0.0.1:${consolePort}:`))
  const compose = (await composeCommand()).join(' ')
  const env = {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    COMPOSE_PROJECT_NAME: NAME,
    CIO_WEBHOOK_IMAGE: IMAGE,
    PORT: String(port)
  }
  t.teardown(async () => {
    const ids = await docker('ps', '--all', '--quiet', '--filter', `label=com.docker.compose.project=${NAME}`)
    if (ids !== '') await docker('rm', '--force', '--volumes', ...ids.split('\n'))
    await docker('rmi', '--force', IMAGE).catch(() => {})
    rmSync(folder, { recursive: true })
  })

  const showPassword = 'cat secrets/console_password'
  await walk(t, stepsOf(PAGE), {
    env,
    folder,
    names: {
      'curl -s localhost:3000': `curl -s localhost:${port}`,
      '/dev/null localhost:3000': `/dev/null localhost:${port}`,
      'docker rmi cio-webhook': `docker rmi ${IMAGE}`,
      // Without a terminal.
      'docker-compose exec': `${compose} exec -T`,
      'docker-compose ': `${compose} `
    },
    actions: {
      [showPassword]: async () => {
        const person = consoleClient(`http://localhost:${consolePort}`)
        const password = readFileSync(join(folder, 'secrets/console_password'), 'utf8').trim()
        t.equal((await person.logIn(password)).status, 303, 'logged in')
        const { text } = await person.get('/events')
        t.equal(text.match(/href="\/events\/\d+-\d+-\d+"/g)?.length, 2, 'both events')
        const [, event = ''] = /href="(\/events\/\d+-\d+-\d+)"/.exec(text) ?? []
        const page = await person.get(event)
        t.match(page.text, 'crm')
        t.match(page.text, '204')
        return showPassword
      }
    }
  })
  const filter = ['--filter', `label=com.docker.compose.project=${NAME}`]
  t.equal(await docker('ps', '--all', '--quiet', ...filter), '', 'nothing is left')
  t.equal(await docker('volume', 'ls', '--quiet', ...filter), '')
})
