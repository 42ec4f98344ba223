{{- define "cio-webhook.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* Labels of every object. */ -}}
{{- define "cio-webhook.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "cio-webhook.ownLabels" . }}
{{- end -}}

{{- define "cio-webhook.ownLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- /* Labels of the pods that receive. They never change, because the selector of a Deployment cannot. */ -}}
{{- define "cio-webhook.selectorLabels" -}}
{{ include "cio-webhook.ownLabels" . }}
app.kubernetes.io/component: receiver
{{- end -}}

{{- define "cio-webhook.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- /* "true" if a pod has a volume with files of these values. */ -}}
{{- define "cio-webhook.hasFiles" -}}
{{- if or .Values.consumers .Values.sources .Values.policies -}}true{{- end -}}
{{- end -}}

{{- /*
The text of a setting. Helm reads every number as a float, and YAML 1.1 reads `on` and `off` as booleans; no setting
takes "true" or "false".
*/ -}}
{{- define "cio-webhook.text" -}}
{{- if kindIs "bool" . -}}{{- ternary "on" "off" . -}}
{{- else if kindIs "float64" . -}}{{- printf "%.0f" . -}}
{{- else -}}{{- . -}}{{- end -}}
{{- end -}}

{{- define "cio-webhook.env" -}}
{{- range .Values.secrets.variables }}
- name: {{ . }}_FILE
  value: /run/secrets/cio-webhook/{{ . | lower | replace "_" "-" }}
{{- end }}
- name: METRICS_PORT
  value: "9464"
- name: SHUTDOWN_DELAY_SECONDS
  value: {{ .Values.shutdownDelaySeconds | quote }}
{{- if .Values.consumers }}
- name: CONSUMERS_FILE
  value: /etc/cio-webhook/consumers.json
{{- end }}
{{- if .Values.sources }}
- name: CIO_SOURCES_FILE
  value: /etc/cio-webhook/sources.json
{{- end }}
{{- if .Values.console.enabled }}
- name: CONSOLE_PORT
  value: "3100"
- name: CONSOLE_HOST
  value: {{ .Values.config.HOST | default "0.0.0.0" | quote }}
{{- end }}
{{- if .Values.caConfigMap }}
- name: NODE_EXTRA_CA_CERTS
  value: /etc/cio-webhook-ca/ca.crt
{{- end }}
{{- range $name, $value := .Values.config }}
- name: {{ $name }}
  value: {{ include "cio-webhook.text" $value | quote }}
{{- end }}
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "cio-webhook.volumes" -}}
{{- with .Values.secrets.name }}
- name: secrets
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- if include "cio-webhook.hasFiles" . }}
- name: files
  configMap:
    name: {{ include "cio-webhook.fullname" . }}
{{- end }}
{{- with .Values.caConfigMap }}
- name: ca
  configMap:
    name: {{ . }}
{{- end }}
{{- end -}}

{{- define "cio-webhook.volumeMounts" -}}
{{- if .Values.secrets.name }}
# The whole folder: a subPath is not updated when the Secret changes.
- name: secrets
  mountPath: /run/secrets/cio-webhook
  readOnly: true
{{- end }}
{{- if include "cio-webhook.hasFiles" . }}
- name: files
  mountPath: /etc/cio-webhook
  readOnly: true
{{- end }}
{{- if .Values.caConfigMap }}
- name: ca
  mountPath: /etc/cio-webhook-ca
  readOnly: true
{{- end }}
{{- end -}}

{{- /* What the pods of the Deployment and the pod of `helm test` have in common. */ -}}
{{- define "cio-webhook.podSpec" -}}
# Otherwise a Service named `metrics` sets METRICS_PORT=tcp://…
enableServiceLinks: false
# Only the log-in to Vault with the service account needs its token.
automountServiceAccountToken: {{ eq (dig "VAULT_AUTH" "" .Values.config) "kubernetes" }}
{{- with .Values.serviceAccountName }}
serviceAccountName: {{ . }}
{{- end }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
securityContext:
  runAsNonRoot: true
  # The user `node` of the image. Its group may read the mounted secrets.
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  seccompProfile:
    type: RuntimeDefault
{{- with include "cio-webhook.volumes" . | trim }}
volumes:
  {{- . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "cio-webhook.container" -}}
name: cio-webhook
image: {{ include "cio-webhook.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
env: {{- include "cio-webhook.env" . | trim | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- with .Values.resources }}
resources: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "cio-webhook.volumeMounts" . | trim }}
volumeMounts:
  {{- . | nindent 2 }}
{{- end }}
{{- end -}}
