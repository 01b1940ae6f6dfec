{{- define "tidemark.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "tidemark.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tidemark.labels" -}}
{{ include "tidemark.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* Whether the release uses a volume: then it has one node. */}}
{{- define "tidemark.usesVolume" -}}
{{- if or (not .Values.database.existingSecret) (eq .Values.store.kind "local") }}true{{ end }}
{{- end }}

{{/* Seconds for which a node that is stopped goes on serving. One node on a volume has no other that could take over. */}}
{{- define "tidemark.pauseSeconds" -}}
{{- if include "tidemark.usesVolume" . }}0{{ else }}{{ int .Values.stop.pauseSeconds }}{{ end }}
{{- end }}

{{- define "tidemark.check" -}}
{{- if hasKey .Values.env "SHUTDOWN_TIMEOUT" }}
{{- fail "env.SHUTDOWN_TIMEOUT: set stop.transfersSeconds, from which the pod's time to stop is computed" }}
{{- end }}
{{- if and (include "tidemark.usesVolume" .) (gt (int .Values.replicas) 1) }}
{{- fail "replicas: more than one need PostgreSQL (database.existingSecret) and a bucket (store.kind)" }}
{{- end }}
{{- if and (include "tidemark.usesVolume" .) (gt (int .Values.workers) 1) }}
{{- fail "workers: more than one need PostgreSQL (database.existingSecret) and a bucket (store.kind)" }}
{{- end }}
{{- if and (not .Values.auth.existingSecret) (not .Values.auth.letAnyoneIn) }}
{{- fail "auth.existingSecret: name a secret with AUTH_TOKENS, or set auth.letAnyoneIn" }}
{{- end }}
{{- if and (ne .Values.store.kind "local") (not .Values.store.existingSecret) }}
{{- fail "store.existingSecret: name a secret with the bucket's key pair" }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) }}
{{- fail "ingress.host: name the host" }}
{{- end }}
{{- end }}
