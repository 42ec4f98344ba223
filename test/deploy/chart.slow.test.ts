import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  CHART,
  type Deployment,
  goTool,
  helm,
  type KubernetesObject,
  kubernetesSchemas,
  type PodSpec,
  renderChart
} from './chart.ts'
import { AWS, EVERYTHING, HPA, matrix, SMALL } from './chart-values.ts'

t.setTimeout(600_000)

/** Kinds that Kubernetes does not define itself: custom-resources.slow.test.ts checks them. */
const CUSTOM = ['HTTPRoute', 'PodMonitor', 'PrometheusRule', 'ScaledObject', 'ServiceMonitor']
/** The oldest version of Kubernetes in `kubeVersion`, and the newest one. */
const VERSIONS = ['1.27', '1.37']

t.test('helm lint finds nothing to criticize', async t => {
  for (const [name, values] of Object.entries(matrix)) {
    const { status, stdout } = helm(['lint', '--strict', '--quiet', CHART, '--values', '-'], values)
    t.same({ status, stdout: stdout.trim() }, { status: 0, stdout: '' }, name)
  }
})

t.test('each value has the objects that it asks for', async t => {
  const kinds = (values: string): readonly string[] =>
    renderChart(values)
      .objects.map(({ kind }) => kind)
      .sort()
  const always = ['Deployment', 'Pod', 'Service']
  t.same(kinds(''), [...always, 'NetworkPolicy', 'PodDisruptionBudget'].sort(), 'defaults')
  t.same(kinds(SMALL), [...always, 'PodMonitor'].sort(), 'small')
  t.same(
    kinds(HPA),
    [...always, 'HorizontalPodAutoscaler', 'NetworkPolicy', 'PodDisruptionBudget'].sort(),
    'HPA'
  )
  t.same(
    [...new Set(kinds(EVERYTHING))].filter(kind => !CUSTOM.includes(kind)),
    [...always, 'ConfigMap', 'Ingress', 'NetworkPolicy', 'PodDisruptionBudget'].sort(),
    'everything'
  )
  t.match(kinds(EVERYTHING), /HTTPRoute.*ScaledObject.*ServiceMonitor/s)
  t.notMatch(Object.values(matrix).flatMap(kinds), /Secret/, 'it creates no Secret')
})

t.test('kubeconform accepts every object, for the oldest and the newest version of Kubernetes', async t => {
  for (const version of VERSIONS) {
    for (const [name, values] of Object.entries(matrix)) {
      const { text, objects } = renderChart(values)
      const own = objects.filter(({ kind }) => !CUSTOM.includes(kind)).length
      t.match(kubeconform(text, version), { valid: own, invalid: 0, errors: 0 }, `${name}, ${version}`)
    }
  }
  const { text } = renderChart()
  const misspelled = text.replace('readOnlyRootFilesystem', 'readonlyRootFilesystem')
  t.match(kubeconform(misspelled, '1.37'), { invalid: 1 }, 'a misspelled field is found')
})

t.test('the values and the commands of the documentation install a receiver with a route', async t => {
  const page = readFileSync('docs/deploy.md', 'utf8')
  const values = /^`values.yaml`:\n\n```yaml\n(.*?)^```$/ms.exec(page)?.[1] ?? ''
  const [, install = '', check = ''] = /^helm upgrade --install (.+)\nhelm test (.+)$/m.exec(page) ?? []
  const { status, stdout, stderr } = helm(
    [
      'template',
      ...install.split(' ').map(arg => (arg === 'values.yaml' ? '-' : arg)),
      '--kube-version',
      '1.37'
    ],
    values
  )
  t.same({ status, stderr }, { status: 0, stderr: '' })
  t.match(stdout, /kind: HTTPRoute/)
  t.match(helm(['test', '--help']).stdout, '--logs')
  t.same(check.split(' ').slice(0, 3), [install.split(' ')[0], ...install.split(' ').slice(2, 4)])
})

t.test('the alerts link to the runbook where the documentation can be read', async t => {
  const { text } = renderChart('monitoring: { rules: true, docsUrl: "https://git.example.com/docs/" }')
  const links = [...text.matchAll(/^ *runbook_url: (.*)$/gm)].map(([, link = '']) => link)
  t.ok(links.length > 20)
  t.same(
    links.filter(link => !link.startsWith('https://git.example.com/docs/runbook.md#')),
    []
  )
})

t.test('traces are switched on as docs/tracing.md says', async t => {
  const page = readFileSync('docs/tracing.md', 'utf8')
  const values = /^```yaml\n(env:\n.*?)^```$/ms.exec(page)?.[1] ?? ''
  const rendered = renderChart(values)
  const pods = [
    rendered.of<Deployment>('Deployment').spec.template.spec,
    rendered.of<KubernetesObject & { readonly spec: PodSpec }>('Pod').spec
  ]
  for (const pod of pods) {
    t.same(pod.containers[0].env.slice(-2), [
      { name: 'OTEL_EXPORTER_OTLP_ENDPOINT', value: 'http://collector.monitoring:4318' },
      {
        name: 'OTEL_EXPORTER_OTLP_HEADERS',
        valueFrom: { secretKeyRef: { name: 'cio-webhook', key: 'otlp-headers' } }
      }
    ])
  }
  t.match(kubeconform(rendered.text, '1.37'), { invalid: 0, errors: 0 })
})

t.test('with a secrets provider, nothing is mounted', async t => {
  t.notMatch(renderChart(AWS).text, /volume|_FILE/i)
})

t.test('a wrong value is refused with its name', async t => {
  for (const [values, message] of [
    ['replica: 2', /replica/],
    ['config: { TRUSTED_PROXY: 10.0.0.0/8 }', /TRUSTED_PROXY/],
    ['config: { CIO_WEBHOOK_SECRET: abc }', /CIO_WEBHOOK_SECRET/],
    ['secrets: { variables: [LOG_LEVEL] }', /variables/],
    ['env: [{ OTEL_SERVICE_NAME: hooks }]', /OTEL_SERVICE_NAME/],
    ['secrets: { name: "" }', /variables/],
    ['consumers: [{ name: crm, type: http, url: "https://crm.internal", secret: whsec_x }]', /consumers/],
    ['consumers: [{ name: bus, type: nats, password: x }]', /consumers/],
    ['sources: [{ name: campaigns, secret: x }]', /sources/],
    ['httpRoute: { enabled: true }', /parentRefs/],
    ['ingress: { enabled: true }', /host/],
    ['autoscaling: { kind: keda }', /`consumers` is empty/],
    ['monitoring: { kind: Prometheus }', /monitoring/],
    ['image: { digest: "abc" }', /digest/]
  ] as const) {
    t.throws(() => renderChart(values), { message }, values)
  }
})

t.test('pods meet the restricted Pod Security Standard, and know no other Services', async t => {
  for (const [name, values] of Object.entries(matrix)) {
    const rendered = renderChart(values)
    const { template } = rendered.of<Deployment>('Deployment').spec
    const check = rendered.of<KubernetesObject & { readonly spec: PodSpec }>('Pod')
    t.same(check.spec.containers[0].args, ['serve', '--check'], `${name}: helm test`)
    for (const pod of [template.spec, check.spec]) {
      t.match(
        pod,
        {
          // Vault asks for it.
          automountServiceAccountToken: name === 'VAULT',
          enableServiceLinks: false,
          securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } }
        },
        name
      )
      t.same(
        pod.containers.map(({ securityContext }) => securityContext),
        [{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } }],
        name
      )
    }
  }
})

interface Summary {
  readonly valid: number
  readonly invalid: number
  readonly errors: number
}

function kubeconform(text: string, version: string): Summary {
  const schemas = join(kubernetesSchemas(), 'schemas', version, '{{.ResourceKind}}{{.KindSuffix}}.json')
  const { stdout } = spawnSync(
    goTool('kubeconform'),
    ['-schema-location', schemas, '-skip', CUSTOM.join(','), '-summary', '-output', 'json'],
    { input: text, encoding: 'utf8' }
  )
  const { summary, resources }: { summary: Summary; resources: readonly unknown[] } = JSON.parse(stdout)
  if (summary.invalid + summary.errors > 0) t.comment(resources)
  return summary
}
