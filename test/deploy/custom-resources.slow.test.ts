import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import ts from 'typescript'
import { parse, parseAllDocuments } from 'yaml'
import { type ConfigMap, type KubernetesObject, kubernetesSchemas, renderChart } from './chart.ts'
import { EVERYTHING, SMALL } from './chart-values.ts'

t.setTimeout(600_000)

const folder = kubernetesSchemas()
/** Where the models of a kind are, in the packages that are generated from the Go types of its project. */
const modules: Readonly<Record<string, string>> = {
  ExternalSecret: '@kubernetes-models/external-secrets/external-secrets.io/v1/ExternalSecret',
  HTTPRoute: '@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/HTTPRoute',
  PodMonitor: '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor',
  PrometheusRule: '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule',
  ScaledObject: '@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject',
  ServiceMonitor: '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor'
}
const objects = [EVERYTHING, SMALL]
  .flatMap(values => renderChart(values).objects)
  .filter(({ kind }) => kind in modules)
objects.push(parse(readFileSync('examples/kubernetes-secrets/external-secret.yaml', 'utf8')))

t.test('objects of other projects have only fields that these define, of the right type', async t => {
  t.same([...new Set(objects.map(({ kind }) => kind))].sort(), Object.keys(modules), 'all kinds are rendered')
  t.same(typeErrors(objects), [])

  const [route] = objects.filter(({ kind }) => kind === 'HTTPRoute')
  t.match(typeErrors([JSON.parse(JSON.stringify(route).replace('"timeouts"', '"timeout"'))]), [/"timeout"/])
})

t.test('required fields, enumerations and patterns of these objects are as their schemas demand', async t => {
  for (const object of objects) {
    const { [object.kind]: Model } = await import(join(folder, 'node_modules', `${modules[object.kind]}.js`))
    t.doesNotThrow(() => new Model(object).validate(), object.kind)
    t.throws(() => new Model({ ...object, spec: 'none' }).validate(), object.kind)
  }
})

t.test('alerts and dashboards are those of deploy/', async t => {
  const { text, of } = renderChart(EVERYTHING)
  const groups = of<KubernetesObject & { readonly spec: { readonly groups: unknown } }>('PrometheusRule').spec
    .groups
  t.same(groups, parse(readFileSync('deploy/prometheus/cio-webhook.rules.yaml', 'utf8')).groups)

  const dashboards: readonly ConfigMap[] = parseAllDocuments(text)
    .map(document => document.toJS())
    .filter(object => object?.metadata.labels.grafana_dashboard === '1')
  const source = existsSync('deploy/grafana')
    ? readdirSync('deploy/grafana').filter(name => name.endsWith('.json'))
    : []
  t.same(
    dashboards.flatMap(({ data }) => Object.values(data)),
    source.sort().map(name => readFileSync(join('deploy/grafana', name), 'utf8'))
  )
})

/** An object literal with a field that its type does not have does not compile. */
function typeErrors(checked: readonly KubernetesObject[]): readonly string[] {
  // In the folder of the packages, so that they are found.
  const file = join(folder, `check-${process.pid}.ts`)
  const lines = checked.map(
    (object, index) =>
      `export const object${index}: import('${modules[object.kind]}').I${object.kind} = ${JSON.stringify(object)}`
  )
  writeFileSync(file, lines.join('\n'))
  try {
    const program = ts.createProgram([file], {
      noEmit: true,
      strict: true,
      skipLibCheck: true,
      types: [],
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.NodeNext
    })
    return ts
      .getPreEmitDiagnostics(program)
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
  } finally {
    rmSync(file)
  }
}
