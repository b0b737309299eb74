#!/usr/bin/env bash
# Builds the image without any base image: the static binary by this machine's cargo, its bill of materials, and
# the image by buildah, of `prebuilt`, as the Dockerfile says. `make image` runs it and then the image.
# Only crates are fetched. The binary is of this machine's architecture. `deploy/build-image.sh bill` makes the bill alone.
#
#   dist/<arch>/holdline                      the binary
#   dist/holdline-<version>-<arch>.cdx.json   its bill of materials, CycloneDX
#   dist/ca-certificates.crt                  the roots
#   target/image                              the image, in a storage of buildah's that is its own
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Only Debian's roots: those that were added to this machine are its own.
roots=/usr/share/ca-certificates/mozilla
storage="$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}")/image"
in_storage=(--root "$storage/storage" --runroot "$storage/run" --storage-driver vfs)

missing() {
    echo "SKIPPED: the image: $1" >&2
    [[ ! -d "$storage/storage" ]] || echo "What is in $storage is of an earlier build." >&2
    [[ "${CI:-}" == true ]] && { echo "error: with CI=true nothing is skipped" >&2; exit 1; }
    exit 0
}

case "$(uname -m)" in
    x86_64) arch=amd64 target=x86_64-unknown-linux-gnu ;;
    aarch64 | arm64) arch=arm64 target=aarch64-unknown-linux-gnu ;;
    *) missing "there is none for $(uname -m)" ;;
esac
[[ "$(uname -s)" == Linux ]] || missing "it is built on Linux"
version_of_auditable="$(sed -n 's/^ARG AUDITABLE=//p' deploy/Dockerfile)"
version_of_cyclonedx=0.5.9

# That version of a tool of cargo's, and no other.
tool() {
    cargo install --list | grep -F "$1 v$2:" >/dev/null || cargo install --locked --force --version "$2" "$1"
}

version="$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)"
# Outside of a checkout there is nothing to ask.
revision="$(git describe --always --dirty --abbrev=40 --exclude '*' 2>/dev/null || echo unknown)"
short="${revision:0:9}${revision:40}"
# The same sources make the same image, so its clock is theirs.
when="$(git log -1 --format=%ct 2>/dev/null || echo 0)"
if [[ "$revision" == unknown && "${CI:-}" == true ]]; then
    echo "error: git does not say which revision this is; with CI=true an image says so" >&2
    exit 1
fi

# Beside the image: a release attests it and has it among its files. Scanners find the same list in the binary itself,
# so that a copy within would only be one more thing that may be wrong. Its references name no folder of this machine.
bill="dist/holdline-$version-$arch.cdx.json"
make_bill() {
    tool cargo-cyclonedx "$version_of_cyclonedx"
    # Where it writes cannot be chosen.
    trap 'rm -f holdline_bin.cdx.json' EXIT
    SOURCE_DATE_EPOCH="$when" cargo cyclonedx --quiet --format json --spec-version 1.5 --target "$target" \
        --describe binaries --no-build-deps
    mkdir -p dist
    sed "s|path+file://$PWD#||" holdline_bin.cdx.json >"$bill"
}
if [[ "${1:-}" == bill ]]; then
    make_bill
    echo "the bill of materials is in $bill"
    exit
fi

command -v buildah >/dev/null || missing "buildah is not on this machine"
[[ "$(id -u)" == 0 ]] || missing "buildah and runc are run as root here"
[[ -d "$roots" ]] || missing "there are no roots in $roots (Debian: ca-certificates)"
tool cargo-auditable "$version_of_auditable"
make_bill

# Names of functions stay in, for backtraces (profile.release in Cargo.toml); they cost 3 MiB.
HOLDLINE_REVISION="$short" RUSTFLAGS="-C target-feature=+crt-static" \
    cargo auditable build --release --locked --bin holdline --target "$target"
mkdir -p "dist/$arch"
cp "${CARGO_TARGET_DIR:-target}/$target/release/holdline" "dist/$arch/holdline"
cat "$roots"/*.crt >dist/ca-certificates.crt

# OCI's own format knows no HEALTHCHECK.
name="holdline:$version"
buildah "${in_storage[@]}" bud --quiet --isolation chroot --format docker --file deploy/Dockerfile \
    --ignorefile deploy/Dockerfile.dockerignore --build-arg SRC=prebuilt --build-arg TARGETARCH="$arch" \
    --build-arg VERSION="$version" --build-arg REVISION="$revision" \
    --build-arg CREATED="$(date --utc --date "@$when" +%Y-%m-%dT%H:%M:%SZ)" \
    --timestamp "$when" --target runtime --tag "$name" . >/dev/null
# What the stages and earlier runs have left.
buildah "${in_storage[@]}" rm --all >/dev/null
buildah "${in_storage[@]}" rmi --prune >/dev/null
echo "$name of $short is in $storage, its bill of materials in $bill"
