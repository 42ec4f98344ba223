/** Values of the chart that the tests render: a name, and a values file. */
export const EVERYTHING = `
image: { repository: registry.example/cio-webhook, digest: "sha256:${'0'.repeat(64)}", pullSecrets: [{ name: registry }] }
secrets: { name: hooks, variables: [REDIS_URL, CIO_WEBHOOK_SECRET, CIO_WEBHOOK_SECRET_PREVIOUS, CONSOLE_PASSWORD] }
config:
  TRUSTED_PROXIES: 10.0.8.0/24, fd00:8::/64
  CONSOLE_URL: https://console.example.com
  EVENT_MAX_LENGTH: 5000000
  PARKED_MAX_BYTES: 1099511627776
  PARTITIONS: 6
  DISPATCH: on
  PII_POLICY: /etc/cio-webhook/policy-strict.json
consumers:
  - { name: crm, type: http, url: "https://crm.internal/events?a=1&b=2", secretFile: /run/secrets/cio-webhook/crm, maxRetryDelayMs: 604800000 }
  - { name: bus, type: nats, servers: ["tls://nats.internal:4222"], stream: CIO, subjectPrefix: cio, types: ["email.*"] }
sources:
  - { name: campaigns, secretFile: /run/secrets/cio-webhook/campaigns, schemes: [v0], idPointer: /message/id }
policies:
  strict: { extends: customerio, fields: { nickname: redact } }
caConfigMap: redis-ca
shutdownDelaySeconds: 1
readinessPath: /healthz
autoscaling: { kind: keda, minReplicas: 3, maxReplicas: 6, lagPerReplica: 5000 }
topologySpread: DoNotSchedule
nodeSelector: { kubernetes.io/os: linux }
tolerations: [{ key: dedicated, operator: Equal, value: hooks, effect: NoSchedule }]
priorityClassName: important
serviceAccountName: hooks
podLabels: { team: messaging }
podAnnotations: { example.com/note: "1" }
service: { annotations: { example.com/load-balancer: internal } }
httpRoute: { enabled: true, parentRefs: [{ name: public, namespace: gateways, sectionName: https }], hostnames: [hooks.example.com] }
ingress: { enabled: true, className: nginx, annotations: { example.com/size: 6m }, host: hooks.example.com, tlsSecretName: hooks-tls }
console: { enabled: true }
networkPolicy:
  httpFrom: [{ namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: gateways } } }]
  consoleFrom: [{ podSelector: { matchLabels: { app: oauth2-proxy } } }]
  egress: [{ to: [{ ipBlock: { cidr: 10.0.9.0/24 } }], ports: [{ port: 6379 }] }]
monitoring: { kind: ServiceMonitor, rules: true, dashboards: true, labels: { release: monitoring } }
`

export const SMALL = `
replicas: 1
autoscaling: { kind: none }
networkPolicy: { enabled: false }
monitoring: { kind: PodMonitor }
secrets: { variables: [CIO_WEBHOOK_SECRET, REDIS_PASSWORD] }
config: { TRUSTED_PROXIES: 10.0.8.0/24, REDIS_SENTINELS: "a:26379,b:26379", REDIS_TLS: off, HOST: "::" }
`

export const HPA = `
autoscaling: { kind: hpa }
networkPolicy: { metricsFrom: [] }
`

export const AWS = `
secrets: { name: "", variables: [] }
serviceAccountName: cio-webhook
config: { TRUSTED_PROXIES: 10.0.8.0/24, SECRETS_PROVIDER: aws, SECRETS_PREFIX: prod/ }
`

const VAULT = `
secrets: { name: "", variables: [] }
serviceAccountName: cio-webhook
config:
  TRUSTED_PROXIES: 10.0.8.0/24
  SECRETS_PROVIDER: vault
  VAULT_ADDR: https://vault.internal:8200
  VAULT_AUTH: kubernetes
  VAULT_ROLE: cio-webhook
`

/** Values files by name. */
export const matrix: Readonly<Record<string, string>> = { defaults: '', EVERYTHING, SMALL, HPA, AWS, VAULT }
