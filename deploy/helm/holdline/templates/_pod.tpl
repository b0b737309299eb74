{{- /* What the service's pods and those of `helm test` have alike: the same image, files and environment. */ -}}

{{- /* Kubernetes fills a missing request in from the limit. Zero would be no thread at all. */ -}}
{{- define "holdline.hasCpuRequest" -}}
{{- $resources := .Values.resources | default dict -}}
{{- $requests := get $resources "requests" | default dict -}}
{{- $limits := get $resources "limits" | default dict -}}
{{- $cpu := ternary (get $requests "cpu") (get $limits "cpu") (hasKey $requests "cpu") | toString -}}
{{- if not (has $cpu (list "" "0" "0m" "<nil>")) }}yes{{ end -}}
{{- end -}}

{{- /* What all our programs get: roots beside those of the image, which its own SSL_CERT_FILE names, what more
is ours, and what users say. (dict "root" . "more" (list)) */ -}}
{{- define "holdline.env" -}}
{{- $ours := .more | default list -}}
{{- if .root.Values.caBundle.existingConfigMap -}}
{{- $ours = append $ours (dict "name" "SSL_CERT_DIR" "value" "/etc/holdline/ca") -}}
{{- end -}}
{{- include "holdline.mergedEnv" (dict "ours" $ours "theirs" .root.Values.extraEnv) -}}
{{- end -}}

{{- /* What a running service wants to know besides: how many threads, and who it is in traces. */ -}}
{{- define "holdline.serveEnv" -}}
{{- $more := list -}}
{{- if gt (.Values.runtime.workerThreads | int) 0 -}}
{{- $more = append $more (dict "name" "TOKIO_WORKER_THREADS" "value" (.Values.runtime.workerThreads | int | toString)) -}}
{{- else if include "holdline.hasCpuRequest" . -}}
{{- $more = append $more (dict "name" "TOKIO_WORKER_THREADS" "valueFrom" (dict "resourceFieldRef" (dict "resource" "requests.cpu" "divisor" "1"))) -}}
{{- end -}}
{{- range $name, $field := dict "POD_NAME" "metadata.name" "POD_NAMESPACE" "metadata.namespace" "NODE_NAME" "spec.nodeName" -}}
{{- $more = append $more (dict "name" $name "valueFrom" (dict "fieldRef" (dict "fieldPath" $field))) -}}
{{- end -}}
{{- $who := list "k8s.namespace.name=$(POD_NAMESPACE)" (printf "k8s.deployment.name=%s" (include "holdline.fullname" .)) "k8s.pod.name=$(POD_NAME)" "k8s.node.name=$(NODE_NAME)" "k8s.container.name=holdline" "service.instance.id=$(POD_NAMESPACE).$(POD_NAME).holdline" -}}
{{- $more = append $more (dict "name" "OTEL_RESOURCE_ATTRIBUTES" "value" (join "," $who)) -}}
{{- include "holdline.env" (dict "root" . "more" $more) -}}
{{- end -}}

{{- /* Ours, but for what they set themselves; then theirs, which may so refer to ours. Each name is there once. */ -}}
{{- define "holdline.mergedEnv" -}}
{{- $names := list -}}
{{- range .theirs }}{{ $names = append $names .name }}{{ end -}}
{{- $env := list -}}
{{- range .ours }}{{ if not (has .name $names) }}{{ $env = append $env . }}{{ end }}{{ end -}}
{{- $env = concat $env (.theirs | default list) -}}
{{- if $env }}{{ toYaml $env }}{{ end -}}
{{- end -}}

{{- /* Whole volumes, never a subPath: what is mounted by subPath does not change any more. */ -}}
{{- define "holdline.volumes" -}}
{{- $volumes := list -}}
{{- if include "holdline.hasFile" . -}}
{{- $volumes = append $volumes (dict "name" "config" "configMap" (dict "name" (include "holdline.configMapName" .))) -}}
{{- end -}}
{{- with include "holdline.secretName" . -}}
{{- /* 288 is 0440. */ -}}
{{- $volumes = append $volumes (dict "name" "secrets" "secret" (dict "secretName" . "defaultMode" 288)) -}}
{{- end -}}
{{- if .Values.caBundle.existingConfigMap -}}
{{- $items := list (dict "key" .Values.caBundle.key "path" "ca.crt") -}}
{{- $volumes = append $volumes (dict "name" "ca-bundle" "configMap" (dict "name" .Values.caBundle.existingConfigMap "items" $items)) -}}
{{- end -}}
{{- $volumes = concat $volumes (.Values.extraVolumes | default list) -}}
{{- if $volumes }}{{ toYaml $volumes }}{{ end -}}
{{- end -}}

{{- define "holdline.volumeMounts" -}}
{{- $mounts := list -}}
{{- if include "holdline.hasFile" . -}}
{{- $mounts = append $mounts (dict "name" "config" "mountPath" "/etc/holdline/config" "readOnly" true) -}}
{{- end -}}
{{- if include "holdline.secretName" . -}}
{{- $mounts = append $mounts (dict "name" "secrets" "mountPath" .Values.secrets.mountPath "readOnly" true) -}}
{{- end -}}
{{- if .Values.caBundle.existingConfigMap -}}
{{- $mounts = append $mounts (dict "name" "ca-bundle" "mountPath" "/etc/holdline/ca" "readOnly" true) -}}
{{- end -}}
{{- $mounts = concat $mounts (.Values.extraVolumeMounts | default list) -}}
{{- if $mounts }}{{ toYaml $mounts }}{{ end -}}
{{- end -}}

{{- /* The option that names the configuration; nothing for the tutorial's action. */ -}}
{{- define "holdline.configArgs" -}}
{{- if include "holdline.hasFile" . -}}
- -c
- /etc/holdline/config/holdline.yaml
{{- end -}}
{{- end -}}

{{- /* A pod of `helm test`: (dict "root" . "test" "ready" "order" 1 "args" (list ...) "files" true "env" (list)). */ -}}
{{- define "holdline.testPod" -}}
{{- $root := .root -}}
apiVersion: v1
kind: Pod
metadata:
  {{- $hook := dict "helm.sh/hook" "test" "helm.sh/hook-weight" (toString .order) "helm.sh/hook-delete-policy" "before-hook-creation,hook-succeeded" }}
  {{- $labels := include "holdline.testSelectorLabels" $root | fromYaml }}
  {{- include "holdline.metadata" (dict "root" $root "name" (include "holdline.named" (list $root (printf "test-%s" .test))) "labels" $labels "annotations" $hook) | nindent 2 }}
spec:
  restartPolicy: Never
  serviceAccountName: {{ include "holdline.serviceAccountName" $root | quote }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ .test }}
      image: {{ include "holdline.image" $root | quote }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args:
        {{- toYaml .args | nindent 8 }}
      {{- with $root.Values.securityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      resources:
        requests: {cpu: 10m, memory: 32Mi}
        limits: {memory: 128Mi}
      {{- if .files }}
      {{- with include "holdline.mergedEnv" (dict "ours" (include "holdline.env" (dict "root" $root) | fromYamlArray) "theirs" .env) }}
      env:
        {{- . | nindent 8 }}
      {{- end }}
      {{- with $root.Values.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with include "holdline.volumeMounts" $root }}
      volumeMounts:
        {{- . | nindent 8 }}
      {{- end }}
      {{- end }}
  {{- if .files }}
  {{- with include "holdline.volumes" $root }}
  volumes:
    {{- . | nindent 4 }}
  {{- end }}
  {{- end }}
  {{- with $root.Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
