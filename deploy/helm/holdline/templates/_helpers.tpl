{{- /* Names, labels and the heads of objects, the same in all templates. A name may look like a number, so all are quoted. */ -}}

{{- define "holdline.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* The release's name where it says the chart's already, else both. */ -}}
{{- define "holdline.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "holdline.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The fullname with an ending, still within 63 characters: (list . "headless"). */ -}}
{{- define "holdline.named" -}}
{{- $ending := index . 1 -}}
{{- $room := sub 62 (len $ending) | int -}}
{{- printf "%s-%s" (include "holdline.fullname" (index . 0) | trunc $room | trimSuffix "-") $ending -}}
{{- end -}}

{{- /* What selects our pods. It can never change in a release. */ -}}
{{- define "holdline.selectorLabels" -}}
app.kubernetes.io/name: {{ include "holdline.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "holdline.labels" -}}
{{- $ours := include "holdline.selectorLabels" . | fromYaml -}}
{{- $_ := set $ours "app.kubernetes.io/version" (.Chart.AppVersion | trunc 63) -}}
{{- $_ := set $ours "app.kubernetes.io/part-of" "holdline" -}}
{{- $_ := set $ours "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $_ := set $ours "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- toYaml (merge $ours (deepCopy (.Values.commonLabels | default dict))) -}}
{{- end -}}

{{- /* The pods' labels. No version is among them: a new chart alone replaces no pod. */ -}}
{{- define "holdline.podLabels" -}}
{{- $ours := include "holdline.selectorLabels" . | fromYaml -}}
{{- toYaml (merge $ours (deepCopy (.Values.podLabels | default dict)) (deepCopy (.Values.commonLabels | default dict))) -}}
{{- end -}}

{{- /* The pods of `helm test` have a name of their own: no Service, budget or policy may take them for replicas. */ -}}
{{- define "holdline.testSelectorLabels" -}}
app.kubernetes.io/name: {{ printf "%s-test" (include "holdline.name" . | trunc 58 | trimSuffix "-") | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- /* An object's metadata: (dict "root" . "name" ... "namespace" ... "labels" (dict) "annotations" (dict)). */ -}}
{{- define "holdline.metadata" -}}
{{- $root := .root -}}
name: {{ .name | default (include "holdline.fullname" $root) | quote }}
namespace: {{ .namespace | default $root.Release.Namespace | quote }}
labels:
  {{- $labels := include "holdline.labels" $root | fromYaml }}
  {{- toYaml (mergeOverwrite $labels (deepCopy (.labels | default dict))) | nindent 2 }}
{{- with merge (deepCopy (.annotations | default dict)) (deepCopy ($root.Values.commonAnnotations | default dict)) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "holdline.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "holdline.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- /* A digest says exactly which image, so it goes before the tag. */ -}}
{{- define "holdline.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion | toString) -}}
{{- end -}}
{{- end -}}

{{- define "holdline.configMapName" -}}
{{- .Values.existingConfigMap | default (include "holdline.fullname" .) -}}
{{- end -}}

{{- /* The Secret whose keys are files in the pods; nothing where there is none. */ -}}
{{- define "holdline.secretName" -}}
{{- if .Values.secrets.existingSecret -}}
{{- .Values.secrets.existingSecret -}}
{{- else if or .Values.secrets.values .Values.externalSecret.enabled -}}
{{- include "holdline.fullname" . -}}
{{- end -}}
{{- end -}}

{{- /* So many pods there are at least. */ -}}
{{- define "holdline.replicas" -}}
{{- if .Values.autoscaling.enabled }}{{ .Values.autoscaling.minReplicas | int }}{{ else }}{{ .Values.replicaCount | int }}{{ end -}}
{{- end -}}
