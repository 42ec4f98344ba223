import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseAllDocuments } from 'yaml'

export const CHART = 'deploy/helm/cio-webhook'
/** The release and the namespace of rendered objects. */
const RELEASE = 'hooks'
const NAMESPACE = 'webhooks'

const root = fileURLToPath(new URL('../../..', import.meta.url))

/** What the tests read of an object; kubeconform checks the rest. */
export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> }
}

export interface Container {
  readonly args?: readonly string[]
  readonly env: readonly { readonly name: string; readonly value: string }[]
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[]
  readonly readinessProbe: Probe
  readonly livenessProbe: Probe
  readonly securityContext: unknown
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[]
}

export interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string }
  readonly periodSeconds: number
  readonly timeoutSeconds: number
  readonly failureThreshold: number
}

export interface PodSpec {
  readonly containers: readonly [Container]
  readonly terminationGracePeriodSeconds: number
  readonly securityContext: unknown
}

export interface Deployment extends KubernetesObject {
  readonly spec: { readonly replicas?: number; readonly template: { readonly spec: PodSpec } }
}

export interface ConfigMap extends KubernetesObject {
  readonly data: Readonly<Record<string, string>>
}

export interface ServiceMonitor extends KubernetesObject {
  readonly spec: { readonly endpoints: readonly [{ readonly path: string; readonly port: string }] }
}

export interface ScaledObject extends KubernetesObject {
  readonly spec: {
    readonly triggers: readonly [cpu: unknown, prometheus: { readonly metadata: { readonly query: string } }]
  }
}

export interface Rendered {
  readonly text: string
  readonly objects: readonly KubernetesObject[]
  /** The first object of a kind. */
  of<T extends KubernetesObject>(kind: string): T
}

interface Result {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** @returns the path of a program that scripts/go-tools.sh installs */
export const goTool = (program: 'helm' | 'kubeconform' | 'caddy'): string =>
  join(printedPath('go-tools.sh', program), program)

/** @returns the folder that scripts/kubernetes-schemas.sh fills */
export const kubernetesSchemas = (): string => printedPath('kubernetes-schemas.sh')

/** @param values a values file in YAML, for the argument `-` */
export function helm(args: readonly string[], values = ''): Result {
  return spawnSync(goTool('helm'), args, { cwd: root, input: values, encoding: 'utf8' })
}

/**
 * Renders the chart.
 *
 * @throws with the message of helm
 */
export function renderChart(values = ''): Rendered {
  const { status, stdout, stderr } = helm(
    ['template', RELEASE, CHART, '--namespace', NAMESPACE, '--kube-version', '1.37', '--values', '-'],
    values
  )
  if (status !== 0) throw new Error(stderr)
  const documents = parseAllDocuments(stdout)
  const objects: readonly KubernetesObject[] = documents
    .map(document => document.toJS())
    .filter(object => object !== null)
  return {
    text: stdout,
    objects,
    of: kind => {
      const found = documents.find(document => document.get('kind') === kind)
      if (found === undefined) throw new Error(`no ${kind} was rendered`)
      return found.toJS()
    }
  }
}

function printedPath(script: string, ...args: readonly string[]): string {
  const { status, stdout } = spawnSync('sh', [join('scripts', script), ...args], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit']
  })
  if (status !== 0) throw new Error(`scripts/${script} failed; npm run test:deploy installs what it needs`)
  return stdout.trim()
}
