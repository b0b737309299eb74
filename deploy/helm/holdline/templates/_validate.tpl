{{- /* What cannot work is refused here, all of it at once and in sentences, before the cluster sees any of it.
Keys and types are the schema's affair; a configuration that cannot be read is refused where it is read. */ -}}

{{- define "holdline.validate" -}}
{{- $s := include "holdline.settings" . | fromYaml -}}
{{- $v := .Values -}}
{{- $wrong := list -}}
{{- /* The configuration. */ -}}
{{- if and $v.existingConfigMap $v.config (not (kindIs "map" $v.config)) -}}
{{- $wrong = append $wrong "`existingConfigMap` and a text in `config` are two configurations: give one of them. Beside an existing ConfigMap, `config` may be a map of `server`, `probes` and `admin`, which tells the chart what it cannot read." -}}
{{- end -}}
{{- if and $v.existingConfigMap (kindIs "map" $v.config) (hasKey ($v.config | default dict) "actions") -}}
{{- $wrong = append $wrong "`config` has `actions`, which nobody would read: `existingConfigMap` names another configuration. Give one of them." -}}
{{- end -}}
{{- if $s.http.loopback -}}
{{- $wrong = append $wrong (printf "`server.listen` is %s: on loopback no Service reaches it. Write 0.0.0.0:%v." $s.http.address $s.http.port) -}}
{{- end -}}
{{- if $s.probes.loopback -}}
{{- $wrong = append $wrong (printf "`probes.listen` is %s: on loopback neither the kubelet nor Prometheus reaches it. Write 0.0.0.0:%v." $s.probes.address $s.probes.port) -}}
{{- end -}}
{{- if lt (len (uniq (list $s.http.port $s.probes.port $s.admin.port))) 3 -}}
{{- $wrong = append $wrong "`server.listen`, `probes.listen` and `admin.listen` must have three different ports." -}}
{{- end -}}
{{- /* The end of a pod. */ -}}
{{- $preStop := get ($v.lifecycle | default dict) "preStop" | default dict -}}
{{- $sleep := get $preStop "sleep" | default dict -}}
{{- $slept := get $sleep "seconds" | default 0 | int -}}
{{- $delay := $s.drainDelay | int -}}
{{- $timeout := $s.drainTimeout | int -}}
{{- if and $preStop (gt $delay 0) -}}
{{- $wrong = append $wrong (printf "`lifecycle.preStop` and `server.drain.delay` (%d s) both wait for balancers. One of them is enough: remove preStop, or write `drain: {delay: 0s}`." $delay) -}}
{{- end -}}
{{- $least := add $slept $delay $timeout 10 | int -}}
{{- if lt ($v.terminationGracePeriodSeconds | int) $least -}}
{{- $parts := printf "`server.drain.delay` %d s + `server.drain.timeout` %d s" $delay $timeout -}}
{{- if $slept }}{{ $parts = printf "`lifecycle.preStop.sleep` %d s + %s" $slept $parts }}{{ end -}}
{{- $wrong = append $wrong (printf "`terminationGracePeriodSeconds` is %d, too short: %s + 10 s for the end itself are %d. Calls under way would be cut off." ($v.terminationGracePeriodSeconds | int) $parts $least) -}}
{{- end -}}
{{- /* Names. */ -}}
{{- $fullname := include "holdline.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $fullname) -}}
{{- $wrong = append $wrong (printf "the Service would be called `%s`; its name must begin with a letter and have no dot. Choose another with `fullnameOverride`." $fullname) -}}
{{- end -}}
{{- /* Secrets. */ -}}
{{- if gt (len (compact (list $v.secrets.existingSecret (ternary "values" "" (not (empty $v.secrets.values))) (ternary "external" "" $v.externalSecret.enabled)))) 1 -}}
{{- $wrong = append $wrong "`secrets.existingSecret`, `secrets.values` and `externalSecret.enabled` are three ways to one Secret: choose one." -}}
{{- end -}}
{{- if and $v.externalSecret.enabled (not $v.externalSecret.storeRef.name) -}}
{{- $wrong = append $wrong "`externalSecret` is enabled without a store: set `externalSecret.storeRef.name`." -}}
{{- end -}}
{{- if and $v.externalSecret.enabled (not $v.externalSecret.data) -}}
{{- $wrong = append $wrong "`externalSecret` is enabled, and fetches nothing: fill `externalSecret.data`." -}}
{{- end -}}
{{- if or (hasPrefix "/etc/holdline/config/" (printf "%s/" $v.secrets.mountPath)) (hasPrefix "/etc/holdline/ca/" (printf "%s/" $v.secrets.mountPath)) (has $v.secrets.mountPath (list "/" "/etc" "/etc/ssl" "/etc/holdline")) -}}
{{- $wrong = append $wrong (printf "`secrets.mountPath` is %s, where other files are: choose a folder of its own, such as /etc/holdline/secrets." $v.secrets.mountPath) -}}
{{- end -}}
{{- /* The image. */ -}}
{{- $image := $v.image -}}
{{- if not (regexMatch "^([^/@\\s]+/)*[^/:@\\s]+$" $image.repository) -}}
{{- $wrong = append $wrong (printf "`image.repository` is `%s`; it must be a registry and a name, such as registry.example.com/holdline. Write a tag in `image.tag`, a digest in `image.digest`." $image.repository) -}}
{{- end -}}
{{- if contains "@" $image.tag -}}
{{- $wrong = append $wrong (printf "`image.tag` is `%s`, with a digest in it: write that in `image.digest`." $image.tag) -}}
{{- else if not (regexMatch "^$|^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$" $image.tag) -}}
{{- $wrong = append $wrong (printf "`image.tag` is `%s`; it must be letters, digits, `_`, `.` and `-`, such as 1.2.3." $image.tag) -}}
{{- end -}}
{{- if and $image.digest (not (regexMatch "^sha256:[0-9a-f]{64}$" $image.digest)) -}}
{{- $wrong = append $wrong (printf "`image.digest` is `%s`; it must be sha256: and 64 hexadecimal digits." $image.digest) -}}
{{- end -}}
{{- /* Rollout, number of pods. */ -}}
{{- $none := list "0" "0%" -}}
{{- if and (eq $v.strategy.type "RollingUpdate") (has (toString $v.strategy.rollingUpdate.maxSurge) $none) (has (toString $v.strategy.rollingUpdate.maxUnavailable) $none) -}}
{{- $wrong = append $wrong "`strategy.rollingUpdate` has neither maxSurge nor maxUnavailable: no pod could ever be replaced. Set maxSurge to 1 or 25%." -}}
{{- end -}}
{{- if and $v.podDisruptionBudget.enabled (has (toString $v.podDisruptionBudget.maxUnavailable) $none) -}}
{{- $wrong = append $wrong "`podDisruptionBudget.maxUnavailable` is 0: no node could ever be drained. Set it to 1." -}}
{{- end -}}
{{- if $v.autoscaling.enabled -}}
{{- $cpu := $v.autoscaling.cpu | int -}}
{{- if gt ($v.autoscaling.minReplicas | int) ($v.autoscaling.maxReplicas | int) -}}
{{- $wrong = append $wrong (printf "`autoscaling.minReplicas` (%d) is above `autoscaling.maxReplicas` (%d)." ($v.autoscaling.minReplicas | int) ($v.autoscaling.maxReplicas | int)) -}}
{{- end -}}
{{- if not (or $cpu $v.autoscaling.inFlight.enabled) -}}
{{- $wrong = append $wrong "`autoscaling` is enabled with nothing to scale by: set `autoscaling.cpu`, or `autoscaling.inFlight.enabled`." -}}
{{- end -}}
{{- if and $cpu (not (include "holdline.hasCpuRequest" .)) -}}
{{- $wrong = append $wrong "`autoscaling.cpu` is a share of the request: set `resources.requests.cpu`." -}}
{{- end -}}
{{- end -}}
{{- /* Variables. */ -}}
{{- $seen := list -}}
{{- $twice := list -}}
{{- range $v.extraEnv -}}
{{- if has .name $seen }}{{ $twice = append $twice .name }}{{ end -}}
{{- $seen = append $seen .name -}}
{{- end -}}
{{- range uniq $twice -}}
{{- $wrong = append $wrong (printf "`extraEnv` names %s more than once: only the last would count. Write it once." .) -}}
{{- end -}}
{{- /* Ways in. */ -}}
{{- if and $v.ingress.enabled (not $v.ingress.hosts) -}}
{{- $wrong = append $wrong "`ingress` is enabled without a host: set `ingress.hosts`, as in [{host: actions.example.com}]." -}}
{{- end -}}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parentRefs) -}}
{{- $wrong = append $wrong "`httpRoute` is enabled without a gateway: set `httpRoute.parentRefs`, as in [{name: public, namespace: gateways}]." -}}
{{- end -}}
{{- /* Metrics, tests. */ -}}
{{- if and $v.metrics.serviceMonitor.enabled $v.metrics.podMonitor.enabled -}}
{{- $wrong = append $wrong "`metrics.serviceMonitor` and `metrics.podMonitor` would scrape each pod twice, and every call would count twice: enable one." -}}
{{- end -}}
{{- if and (or $v.metrics.serviceMonitor.enabled $v.metrics.podMonitor.enabled) (not $s.metrics) -}}
{{- $wrong = append $wrong "a monitor is enabled, but the configuration says `telemetry.metrics: false`: there is nothing to scrape." -}}
{{- end -}}
{{- if and $v.metrics.prometheusRule.enabled $v.metrics.prometheusRule.disabled -}}
{{- $known := list -}}
{{- range (.Files.Get "files/rules/holdline.yaml" | fromYaml).groups }}{{ range .rules }}{{ $known = append $known (.alert | default "") }}{{ end }}{{ end -}}
{{- range $v.metrics.prometheusRule.disabled -}}
{{- if not (has . $known) }}{{ $wrong = append $wrong (printf "`metrics.prometheusRule.disabled` names %s, and there is no such alert." .) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- if and $v.tests.enabled $v.tests.action.name (eq $s.scheme "https") -}}
{{- $wrong = append $wrong (printf "`tests.action` calls https://%s:%d, a name that the certificate of `server.tls` hardly has: leave its name empty." $fullname ($v.service.port | int)) -}}
{{- end -}}
{{- if $wrong -}}
{{- fail (printf "\n\nThis cannot work:\n  - %s\n" (join "\n  - " $wrong)) -}}
{{- end -}}
{{- end -}}
