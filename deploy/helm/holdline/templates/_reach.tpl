{{- /* What the program calls by itself, and whether the network policy lets it: for the notes. */ -}}

{{- /* Every address that it connects to, by its key. Where an upstream has a proxy, that is whom it connects to. */ -}}
{{- define "holdline.addresses" -}}
{{- $read := include "holdline.configuration" . | fromYaml -}}
{{- $found := dict -}}
{{- range $name, $upstream := $read.upstreams | default dict -}}
{{- if kindIs "map" $upstream -}}
{{- $at := printf "upstreams.%s" $name -}}
{{- if $upstream.proxy -}}
{{- $_ := set $found (printf "%s.proxy" $at) $upstream.proxy -}}
{{- else -}}
{{- $_ := set $found (printf "%s.base_url" $at) $upstream.base_url -}}
{{- if kindIs "map" $upstream.auth }}{{ $_ := set $found (printf "%s.auth.token_url" $at) $upstream.auth.token_url }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name, $caller := $read.callers | default dict -}}
{{- range list "api_base" "url" "jwks" -}}
{{- if kindIs "map" $caller }}{{ $_ := set $found (printf "callers.%s.%s" $name .) (get $caller .) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- toYaml $found -}}
{{- end -}}

{{- /* Where an address leads: its scheme, host and port, and whether the host is in the cluster or a private network.
A name of two parts may be a Service and its namespace, or anybody's. Nothing where the address cannot be known. */ -}}
{{- define "holdline.destination" -}}
{{- $url := include "holdline.expanded" (dict "root" .root "value" (.url | default "")) -}}
{{- $at := regexFind "^https?://[^/?#@$]+" $url -}}
{{- if and $at (not (contains "${" $url)) -}}
{{- $authority := regexReplaceAll "^https?://" $at "" | lower -}}
{{- $host := regexReplaceAll ":[0-9]*$" $authority "" -}}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $authority) | default (ternary "443" "80" (hasPrefix "https:" $at)) -}}
{{- $name := regexMatch "^[^.]+$|[.](svc|internal|local)$|[.]svc[.]" $host -}}
{{- $four := regexMatch "^(10|127|169[.]254|192[.]168|172[.](1[6-9]|2[0-9]|3[01])|100[.](6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7]))[.][0-9.]+$" $host -}}
{{- $six := regexMatch "^\\[(::1\\]|f[cd]|fe[89ab]|64:ff9b:)" $host -}}
{{- $public := and (hasPrefix "[" $host) (not $six) -}}
at: {{ $at | quote }}
port: {{ $port }}
inside: {{ and (or $name $four $six) (not $public) }}
perhaps: {{ regexMatch "^[a-z0-9-]+[.][a-z][a-z0-9-]*$" $host }}
{{- end -}}
{{- end -}}

{{- /* What the notes say of addresses that the policy shuts: each with its key. */ -}}
{{- define "holdline.shut" -}}
{{- $root := . -}}
{{- $open := .Values.networkPolicy.egress.https.enabled -}}
{{- $shut := list -}}
{{- $perhaps := list -}}
{{- range $key, $url := include "holdline.addresses" . | fromYaml -}}
{{- with include "holdline.destination" (dict "root" $root "url" $url) | fromYaml -}}
{{- $said := printf "%s (%s)" $key .at -}}
{{- if or .inside (ne (int .port) 443) (not $open) }}{{ $shut = append $shut $said }}
{{- else if .perhaps }}{{ $perhaps = append $perhaps $said }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $notes := list -}}
{{- $only := ternary "nothing out but port 443 of public addresses" "nothing out" $open -}}
{{- with $shut -}}
{{- $notes = append $notes (printf "The NetworkPolicy lets %s. Add to networkPolicy.extraEgress: %s." $only (join ", " .)) -}}
{{- end -}}
{{- with $perhaps -}}
{{- $notes = append $notes (printf "The NetworkPolicy lets %s. Should this be a Service and its namespace, add it to networkPolicy.extraEgress: %s." $only (join ", " .)) -}}
{{- end -}}
{{- toYaml $notes -}}
{{- end -}}
