{{- /* The configuration is the one source of ports, paths and the time of a drain: here it is read. */ -}}

{{- /* Whether the program gets a file, from us or made elsewhere. */ -}}
{{- define "holdline.hasFile" -}}
{{- if or .Values.existingConfigMap (include "holdline.text" .) }}yes{{ end -}}
{{- end -}}

{{- /* The file's text, to the letter where `config` is text. Nothing where there is no `config` or no file of ours. */ -}}
{{- define "holdline.text" -}}
{{- $config := .Values.config -}}
{{- if .Values.existingConfigMap -}}
{{- else if kindIs "map" $config -}}
{{- if $config }}{{ toYaml $config }}{{ "\n" }}{{ end -}}
{{- else if trim (toString ($config | default "")) -}}
{{- $config -}}
{{- end -}}
{{- end -}}

{{- /* What is in it, as a map. Without a file: where the tutorial's action listens. */ -}}
{{- define "holdline.configuration" -}}
{{- $config := .Values.config -}}
{{- $read := dict -}}
{{- if kindIs "map" $config -}}
{{- $read = deepCopy $config -}}
{{- else if trim (toString ($config | default "")) -}}
{{- $read = fromYaml $config -}}
{{- if hasKey $read "Error" -}}
{{- fail (printf "\n\n`config` is no YAML mapping: %s.\nGive the text of holdline.yaml (--set-file config=holdline.yaml) or a map.\n" $read.Error) -}}
{{- end -}}
{{- end -}}
{{- if not (or $read .Values.existingConfigMap) -}}
{{- $read = dict "server" (dict "listen" "${HOLDLINE_LISTEN:-0.0.0.0:8080}") "probes" (dict "listen" "${HOLDLINE_PROBES:-0.0.0.0:9090}") "admin" (dict "listen" "${HOLDLINE_ADMIN:-127.0.0.1:9901}") -}}
{{- end -}}
{{- range list "server" "probes" "admin" "telemetry" "callers" "upstreams" "actions" "cache" -}}
{{- $section := index $read . -}}
{{- if not (or (kindIs "invalid" $section) (kindIs "map" $section)) -}}
{{- fail (printf "\n\n`%s` in `config` must be a mapping; try `holdline check`.\n" .) -}}
{{- end -}}
{{- end -}}
{{- range list (list "server" "drain") (list "server" "tls") (list "telemetry" "log") (list "telemetry" "traces") -}}
{{- $inner := get (index $read (first .) | default dict) (last .) -}}
{{- if not (or (eq (toString $inner) "") (kindIs "invalid" $inner) (kindIs "map" $inner)) -}}
{{- fail (printf "\n\n`%s` in `config` must be a mapping; try `holdline check`.\n" (join "." .)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $read -}}
{{- end -}}

{{- /* A value with its ${NAME} and ${NAME:-default} put in: (dict "root" . "key" "server.listen" "value" ...).
What cannot be known is refused; without a key it stays as it is written. */ -}}
{{- define "holdline.expanded" -}}
{{- $key := .key -}}
{{- $env := .root.Values.extraEnv -}}
{{- $text := toString .value -}}
{{- range $found := regexFindAll "\\$\\{[^}]*\\}" $text -1 -}}
{{- $inside := $found | trimPrefix "${" | trimSuffix "}" -}}
{{- $name := (splitList ":-" $inside) | first -}}
{{- $value := "" -}}
{{- $known := false -}}
{{- if and (contains ":-" $inside) (not (hasPrefix "file:" $inside)) -}}
{{- $value = $inside | trimPrefix (printf "%s:-" $name) -}}
{{- $known = true -}}
{{- end -}}
{{- range $env -}}
{{- if eq .name $name -}}
{{- $known = hasKey . "value" -}}
{{- $value = .value | default $value -}}
{{- end -}}
{{- end -}}
{{- if and $key (not $known) -}}
{{- fail (printf "\n\n`%s` is %s, which the chart cannot read. Write the value itself, ${NAME:-default}, or ${NAME} with NAME and its value in `extraEnv`.\n" $key $text) -}}
{{- end -}}
{{- if $known }}{{ $text = replace $found $value $text }}{{ end -}}
{{- end -}}
{{- $text -}}
{{- end -}}

{{- /* A duration of the configuration in whole seconds, rounded up: (dict "root" . "key" ... "value" ...). */ -}}
{{- define "holdline.seconds" -}}
{{- $text := include "holdline.expanded" . -}}
{{- if not (regexMatch "^[0-9]{1,9}(ms|s|m|h)$" $text) -}}
{{- fail (printf "\n\n`%s` is `%s`, which is no duration such as 250ms, 5s or 1m.\n" .key $text) -}}
{{- end -}}
{{- $number := regexFind "^[0-9]+" $text | int64 -}}
{{- $unit := regexFind "[a-z]+$" $text -}}
{{- if eq $unit "ms" }}{{ div (add $number 999) 1000 }}
{{- else if eq $unit "s" }}{{ $number }}
{{- else if eq $unit "m" }}{{ mul $number 60 }}
{{- else }}{{ mul $number 3600 }}
{{- end -}}
{{- end -}}

{{- /* A listener: its port, and whether it is on loopback. */ -}}
{{- define "holdline.listener" -}}
{{- $text := include "holdline.expanded" . -}}
{{- if not (regexMatch "^([0-9.]+|\\[[0-9a-fA-F:.]+\\]):[1-9][0-9]{0,4}$" $text) -}}
{{- fail (printf "\n\n`%s` is `%s`, which is no IP address and port such as 0.0.0.0:8080.\n" .key $text) -}}
{{- end -}}
address: {{ $text | quote }}
port: {{ regexFind "[0-9]+$" $text }}
loopback: {{ or (hasPrefix "127." $text) (hasPrefix "[::1]" $text) }}
{{- end -}}

{{- /* All that templates want to know of the configuration. */ -}}
{{- define "holdline.settings" -}}
{{- $root := . -}}
{{- $read := include "holdline.configuration" . | fromYaml -}}
{{- $server := $read.server | default dict -}}
{{- $probes := $read.probes | default dict -}}
{{- $admin := $read.admin | default dict -}}
{{- $telemetry := $read.telemetry | default dict -}}
{{- $drain := $server.drain | default dict -}}
{{- $tls := $server.tls | default dict -}}
{{- $traces := $telemetry.traces | default dict -}}
{{- $base := include "holdline.expanded" (dict "root" . "key" "server.base_path" "value" ($server.base_path | default "/data-action")) -}}
{{- $paths := list $base -}}
{{- range $name, $caller := $read.callers | default dict -}}
{{- if and (kindIs "map" $caller) (eq (toString $caller.type) "issued") -}}
{{- $paths = append $paths (include "holdline.expanded" (dict "root" $root "key" (printf "callers.%s.path" $name) "value" ($caller.path | default "/oauth/token"))) -}}
{{- end -}}
{{- end -}}
http:
  {{- include "holdline.listener" (dict "root" . "key" "server.listen" "value" ($server.listen | default "0.0.0.0:8080")) | nindent 2 }}
probes:
  {{- include "holdline.listener" (dict "root" . "key" "probes.listen" "value" ($probes.listen | default "0.0.0.0:9090")) | nindent 2 }}
admin:
  {{- include "holdline.listener" (dict "root" . "key" "admin.listen" "value" ($admin.listen | default "127.0.0.1:9901")) | nindent 2 }}
basePath: {{ $base | quote }}
# Where calls come in, and where tokens are issued.
paths: {{ uniq $paths | toJson }}
scheme: {{ ternary "https" "http" (not (empty $tls)) }}
drainDelay: {{ include "holdline.seconds" (dict "root" . "key" "server.drain.delay" "value" ($drain.delay | default "5s")) }}
drainTimeout: {{ include "holdline.seconds" (dict "root" . "key" "server.drain.timeout" "value" ($drain.timeout | default "30s")) }}
metrics: {{ ne (toString $telemetry.metrics) "false" }}
{{- $collector := $traces.endpoint | default "${OTEL_EXPORTER_OTLP_ENDPOINT:-}" }}
collector: {{ include "holdline.expanded" (dict "root" . "value" $collector) | quote }}
{{- end -}}

{{- /* What no running process takes up: README.md of the project, "Reload". A change of it replaces the pods. */ -}}
{{- define "holdline.takesARestart" -}}
{{- $read := include "holdline.configuration" . | fromYaml -}}
{{- $server := $read.server | default dict -}}
{{- $telemetry := $read.telemetry | default dict -}}
{{- $log := $telemetry.log | default dict -}}
{{- $fixed := pick $server "listen" "base_path" "max_headers" "max_header_bytes" "max_connections" "header_timeout" "write_timeout" "idle_timeout" "trust_trace_context" -}}
{{- /* Another certificate is taken up at once; whether there is one is not. */ -}}
{{- $_ := set $fixed "tls" (not (empty $server.tls)) -}}
{{- $listen := list (get ($read.probes | default dict) "listen") (get ($read.admin | default dict) "listen") -}}
{{- $rest := list (get $log "format") (get $telemetry "metrics") (get $telemetry "traces") ($read.cache | default dict) -}}
{{- list $fixed $listen $rest | toJson | sha256sum -}}
{{- end -}}
