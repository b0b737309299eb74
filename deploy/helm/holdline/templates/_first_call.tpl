{{- /* A call to the first of the actions, as one line for a shell, with what has to be filled in in capitals. */ -}}

{{- define "holdline.firstCall" -}}
{{- $s := include "holdline.settings" . | fromYaml -}}
{{- $read := include "holdline.configuration" . | fromYaml -}}
{{- $name := "customer-lookup" -}}
{{- $inputs := dict "customer_id" (dict "type" "integer") -}}
{{- $header := "X-Genesys-Auth-Token: TOKEN" -}}
{{- $envelope := "data" -}}
{{- if include "holdline.hasFile" . -}}
{{- $actions := $read.actions | default dict -}}
{{- $name = keys $actions | sortAlpha | first | default "ACTION" -}}
{{- $action := get $actions $name -}}
{{- if not (kindIs "map" $action) }}{{ $action = dict }}{{ end -}}
{{- $inputs = $action.input -}}
{{- if not (kindIs "map" $inputs) }}{{ $inputs = dict }}{{ end -}}
{{- $envelope = $action.envelope | default "data" -}}
{{- $caller := $action.caller -}}
{{- if kindIs "slice" $caller }}{{ $caller = first $caller }}{{ end -}}
{{- $by := get ($read.callers | default dict) (toString $caller) -}}
{{- if not (kindIs "map" $by) }}{{ $by = dict }}{{ end -}}
{{- $default := get (dict "introspection" "X-Genesys-Auth-Token" "api_key" "X-Api-Key") (toString $by.type) | default "Authorization" -}}
{{- $header = $by.header | default $default -}}
{{- if eq (toString $by.type) "basic" -}}
{{- $header = printf "%s: Basic USER_AND_PASSWORD_IN_BASE64" $header -}}
{{- else -}}
{{- $header = printf "%s: %sTOKEN" $header (ternary "Bearer " "" (eq (lower $header) "authorization")) -}}
{{- end -}}
{{- if eq (toString $caller) "none" }}{{ $header = "" }}{{ end -}}
{{- end -}}
{{- $body := list -}}
{{- range $input, $is := $inputs -}}
{{- $type := "string" -}}
{{- if kindIs "map" $is }}{{ $type = toString $is.type }}{{ end -}}
{{- $body = append $body (printf "%q: %s" $input (get (dict "integer" "1" "number" "1" "boolean" "true") $type | default "\"...\"")) -}}
{{- end -}}
{{- $json := printf "{%s}" (join ", " $body) -}}
{{- if eq $envelope "data" }}{{ $json = printf "{\"data\": %s}" $json }}{{ end -}}
curl -s {{ if eq $s.scheme "https" }}--insecure {{ end }}{{ $s.scheme }}://127.0.0.1:8080{{ $s.basePath }}/{{ $name }}{{ if $header }} -H '{{ $header }}'{{ end }} -H 'Content-Type: application/json' -d '{{ $json }}'
{{- end -}}
