#!/usr/bin/env bash
# Gets what the tests need beyond Rust: Debian's package `prometheus`, for promtool and a real Prometheus.
# Where it cannot be had, the tests that need it skip themselves; with CI=true that is an error.
set -euo pipefail

present() {
    command -v promtool >/dev/null && command -v prometheus >/dev/null
}

absent() {
    echo "SKIPPED: tests with promtool and a real Prometheus: $1" >&2
    if [[ "${CI:-}" == true ]]; then
        echo "error: with CI=true nothing is skipped; install the package prometheus" >&2
        exit 1
    fi
    exit 0
}

install() {
    apt-get install --yes --no-install-recommends prometheus
}

if present; then
    exit 0
fi
command -v apt-get >/dev/null || absent "they are not installed, and there is no apt-get to do it"
[[ "$(id -u)" == 0 ]] || absent "they are not installed, and only root may do it"

export DEBIAN_FRONTEND=noninteractive
# The package would start a Prometheus of its own, on the port of our probes.
policy=/usr/sbin/policy-rc.d
if [[ ! -e "$policy" ]]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
fi
# The list of packages may be missing, or so old that what it names is gone.
install || { apt-get update && install; } || absent "apt-get could not install them"
present || absent "the package is installed, and they are not in PATH"
