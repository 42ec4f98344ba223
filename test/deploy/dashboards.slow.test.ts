import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { deliveredDashboards, expressionsOf } from '../helpers/dashboards.ts'
import { temporaryFolder } from '../helpers/server.ts'

const dashboards = deliveredDashboards()

t.test('the dashboards are those of their sources', async t => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/grafana-dashboards.mjs', '--check'], {
    encoding: 'utf8'
  })
  t.equal(stderr, '')
  t.equal(status, 0)
  t.same(
    dashboards.map(([file]) => file),
    ['consumers.json', 'on-call.json', 'overview.json']
  )
})

t.test('each panel has a title, a description, a place of its own and the chosen data source', async t => {
  for (const [file, { uid, schemaVersion, panels, templating }] of dashboards) {
    t.equal(uid, `cio-webhook-${file.replace('.json', '')}`)
    t.ok(schemaVersion >= 39, 'the schema of Grafana 11')
    t.same(templating.list.map(({ name }) => name).slice(0, 2), ['datasource', 'job'], 'variables')
    t.equal(new Set(panels.map(({ id }) => id)).size, panels.length, 'ids are distinct')
    const taken = new Set<string>()
    for (const { type, title, description = '', gridPos, datasource, targets = [] } of panels) {
      const { h, w, x, y } = gridPos
      const cells = Array.from(
        { length: h * w },
        (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`
      )
      t.notOk(
        cells.find(cell => taken.has(cell)),
        `${file}: ${title} covers no other panel`
      )
      t.ok(x + w <= 24)
      for (const cell of cells) taken.add(cell)
      if (type === 'row') continue
      t.match(description, /^\S.{20,}\.$/, `${file}: ${title}`)
      t.same(datasource, { type: 'prometheus', uid: '$datasource' })
      t.ok(targets.length > 0)
    }
  }
})

t.test('each expression is PromQL', async t => {
  const rules = dashboards
    .flatMap(expressionsOf)
    .map(({ expr }, index) => ({ record: `panel:${index}`, expr }))
  t.ok(rules.length > 50)
  const file = join(temporaryFolder(), 'panels.yaml')
  writeFileSync(file, JSON.stringify({ groups: [{ name: 'panels', rules }] }))
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'rules', file], { encoding: 'utf8' })
  t.equal(status, 0, stdout + stderr)
})
