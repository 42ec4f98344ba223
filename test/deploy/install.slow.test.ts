import { spawnSync } from 'node:child_process'
import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { deliveredAlerts, RULES_FILE } from '../helpers/alerts.ts'
import { temporaryFolder } from '../helpers/server.ts'

t.test('promtool accepts the configuration and the rules', async t => {
  const { status, stdout, stderr } = spawnSync(
    'promtool',
    ['check', 'config', 'deploy/prometheus/prometheus.yaml'],
    { encoding: 'utf8' }
  )
  t.equal(status, 0, stdout + stderr)
  t.match(stdout, / rules found/)
})

t.test('the documented commands set the links to the runbook, and check the rules', async t => {
  const page = readFileSync('docs/deploy.md', 'utf8')
  const [, commands = ''] = /^ *```sh\n( *sed -i 's#runbook_url[\s\S]*?)```$/m.exec(page) ?? []
  const folder = temporaryFolder()
  cpSync('deploy/prometheus', join(folder, 'deploy/prometheus'), { recursive: true })
  const { status, stdout, stderr } = spawnSync('bash', ['-ec', commands], { cwd: folder, encoding: 'utf8' })
  t.equal(status, 0, stdout + stderr)
  t.match(stdout, 'SUCCESS')
  const { groups } = parse(readFileSync(join(folder, RULES_FILE), 'utf8')) as {
    groups: { rules: { annotations?: { runbook_url: string } }[] }[]
  }
  const links = groups
    .flatMap(({ rules }) => rules)
    .flatMap(({ annotations }) => annotations?.runbook_url ?? [])
  t.same(
    links,
    deliveredAlerts().map(
      alert => `https://git.example.com/cio-webhook/blob/main/docs/runbook.md#${alert.toLowerCase()}`
    )
  )
})
