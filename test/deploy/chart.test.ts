import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'

t.test('README, schema and copied files of the chart are up to date', async t => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/document-chart.mjs', '--check'], {
    encoding: 'utf8'
  })
  t.same({ status, stderr }, { status: 0, stderr: '' })
})

t.test('the chart has the version of the service', async t => {
  const { version, appVersion } = parse(readFileSync('deploy/helm/cio-webhook/Chart.yaml', 'utf8'))
  const { version: own } = JSON.parse(readFileSync('package.json', 'utf8'))
  t.same([version, appVersion], [own, own])
})
