import { spawnSync } from 'node:child_process'
import t from 'tap'

t.setTimeout(600_000)

t.test('the plain manifests are what the chart renders', async t => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/render-kubernetes.mjs', '--check'], {
    encoding: 'utf8'
  })
  t.same({ status, stderr }, { status: 0, stderr: '' })
})
