// Writes the dashboards in deploy/grafana/ from the files in deploy/grafana/source/, which are easier to read and to
// review than the JSON of Grafana.
// Usage: grafana-dashboards.mjs [--check]      --check writes nothing and fails if something differs.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parse } from 'yaml'

const FOLDER = 'deploy/grafana'
const SOURCE = join(FOLDER, 'source')
/** Of Grafana 11; newer versions read it too. */
const SCHEMA_VERSION = 39
const COLUMNS = 24
const HEIGHTS = { stat: 4, table: 8, timeseries: 8, 'state-timeline': 6 }
const datasource = { type: 'prometheus', uid: '$datasource' }

for (const file of readdirSync(SOURCE)) {
  const name = basename(file, '.yaml')
  const path = join(FOLDER, `${name}.json`)
  const wanted = JSON.stringify(dashboard(name, parse(readFileSync(join(SOURCE, file), 'utf8'))))
  if (!process.argv.includes('--check')) writeFileSync(path, wanted)
  // The files are formatted afterwards.
  else if (JSON.stringify(JSON.parse(readFileSync(path, 'utf8'))) !== wanted) {
    console.error(`${path} is out of date: run npm run docs:dashboards`)
    process.exitCode = 1
  }
}

function dashboard(name, { title, description, time, variables = {}, rows }) {
  return {
    uid: `cio-webhook-${name}`,
    title: `cio-webhook / ${title}`,
    description,
    tags: ['cio-webhook'],
    schemaVersion: SCHEMA_VERSION,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: '30s',
    timezone: '',
    time: { from: `now-${time}`, to: 'now' },
    links: [
      {
        type: 'dashboards',
        title: 'cio-webhook',
        tags: ['cio-webhook'],
        asDropdown: false,
        includeVars: true,
        keepTime: true
      }
    ],
    annotations: { list: [] },
    templating: {
      list: [
        { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus', current: {} },
        variable('job', 'label_values(cio_build_info, job)'),
        ...Object.entries(variables).map(([name, query]) => variable(name, query))
      ]
    },
    panels: panels(rows)
  }
}

/** All values by default. */
function variable(name, query) {
  const all = { text: ['All'], value: ['$__all'] }
  return {
    name,
    label: name[0].toUpperCase() + name.slice(1),
    type: 'query',
    datasource,
    definition: query,
    query: { query, refId: name },
    refresh: 2,
    multi: true,
    includeAll: true,
    allValue: '.*',
    current: all,
    sort: 1
  }
}

/** From left to right, in as many lines as needed. A row of panels begins with its title. */
function panels(rows) {
  let id = 0
  let y = 0
  return rows.flatMap(row => {
    const header = { id: ++id, type: 'row', title: row.title, collapsed: false, panels: [] }
    const placed = [{ ...header, gridPos: { h: 1, w: COLUMNS, x: 0, y: y++ } }]
    let [x, lineHeight] = [0, 0]
    for (const source of row.panels) {
      const { width: w = 8, height: h = HEIGHTS[source.kind] } = source
      if (x + w > COLUMNS) [x, y, lineHeight] = [0, y + lineHeight, 0]
      placed.push({ ...panel(source), id: ++id, gridPos: { h, w, x, y } })
      x += w
      lineHeight = Math.max(lineHeight, h)
    }
    y += lineHeight
    return placed
  })
}

function panel(source) {
  const { kind, title, description, queries, unit = 'short', decimals, max } = source
  const isTable = kind === 'table'
  return {
    type: kind,
    title,
    description,
    datasource,
    targets: queries.map(({ expr, legend }, index) => ({
      refId: refId(index),
      datasource,
      expr,
      ...(isTable ? { format: 'table', instant: true } : { legendFormat: legend ?? '__auto' }),
      ...(kind === 'stat' ? { instant: true } : {}),
      // The histograms with exemplars: src/ops/exemplars.ts.
      ...(kind === 'timeseries' && expr.includes('_duration_seconds_bucket') ? { exemplar: true } : {})
    })),
    fieldConfig: {
      defaults: {
        unit,
        ...(decimals === undefined ? {} : { decimals }),
        ...(kind === 'timeseries' ? { min: 0 } : {}),
        ...(max === undefined ? {} : { max }),
        mappings: mappings(source.values),
        color: { mode: kind === 'timeseries' ? 'palette-classic' : 'thresholds' },
        thresholds: thresholds(source.thresholds),
        ...(kind === 'timeseries' ? { custom: lines(source) } : {})
      },
      overrides: queries.flatMap(({ column, unit }) =>
        column === undefined || unit === undefined ? [] : [columnUnit(column, unit)]
      )
    },
    options: options(kind),
    ...(isTable ? { transformations: columns(queries, source.hide) } : {})
  }
}

function refId(index) {
  return String.fromCharCode(65 + index)
}

function lines({ stack, thresholds }) {
  return {
    lineWidth: 1,
    fillOpacity: stack ? 30 : 5,
    showPoints: 'never',
    stacking: { mode: stack ? 'normal' : 'none' },
    thresholdsStyle: { mode: thresholds === undefined ? 'off' : 'line' }
  }
}

/** @param steps value from which a colour applies → colour; the first one applies from the beginning */
function thresholds(steps = { 0: 'green' }) {
  const sorted = Object.entries(steps).sort(([a], [b]) => Number(a) - Number(b))
  return {
    mode: 'absolute',
    steps: sorted.map(([value, color], index) => ({ color, value: index === 0 ? null : Number(value) }))
  }
}

function mappings(values) {
  if (values === undefined) return []
  const options = Object.entries(values).map(([value, text], index) => [value, { text, index }])
  return [{ type: 'value', options: Object.fromEntries(options) }]
}

function options(kind) {
  if (kind === 'stat') {
    return {
      colorMode: 'background',
      graphMode: 'none',
      textMode: 'auto',
      reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false }
    }
  }
  if (kind === 'timeseries') {
    return {
      legend: { displayMode: 'list', placement: 'bottom', showLegend: true },
      tooltip: { mode: 'multi', sort: 'desc' }
    }
  }
  if (kind === 'state-timeline') {
    return {
      showValue: 'auto',
      mergeValues: true,
      legend: { displayMode: 'list', placement: 'bottom', showLegend: true }
    }
  }
  return { showHeader: true, cellHeight: 'sm' }
}

/** One table of all queries: a column per label and query. */
function columns(queries, hidden = []) {
  const names = queries.flatMap(({ column }, index) => {
    if (column === undefined) return []
    return [[queries.length === 1 ? 'Value' : `Value #${refId(index)}`, column]]
  })
  return [
    { id: 'merge', options: {} },
    {
      id: 'organize',
      options: {
        excludeByName: Object.fromEntries(['Time', ...hidden].map(name => [name, true])),
        renameByName: Object.fromEntries(names)
      }
    }
  ]
}

function columnUnit(column, unit) {
  return { matcher: { id: 'byName', options: column }, properties: [{ id: 'unit', value: unit }] }
}
