# shellcheck shell=bash
# What the scripts in the folder above share: steps that say what they do, and the tools that those scripts need.
# Sourced by them; `root` is the repository. Tools go to .setup (git-ignored), so a second run finds them there.
# Only macOS's bash 3.2 is assumed.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
setup_dir=${KLSTORE_SETUP_DIR:-$root/.setup}
log_dir=$setup_dir/log
mkdir -p "$log_dir"

readonly VERSITYGW_VERSION=v1.8.0
# The last release of 2026-02; minio's tags are not semantic versions, so Go names it by time and commit.
readonly MINIO_VERSION=v0.0.0-20260212201848-7aac2a2c5b7c
readonly CARGO_FUZZ_VERSION=0.13.2
readonly CARGO_DENY_VERSION=0.20.2
readonly CARGO_MUTANTS_VERSION=27.1.0
# bench/peers/Cargo.toml has the version of its SDK that belongs to it.
readonly S2_VERSION=0.43.4
readonly CARGO_SEMVER_CHECKS_VERSION=0.51.0
# The workspace's rust-version, as cargo would ask for it.
RUST_VERSION=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$root/Cargo.toml")
readonly RUST_VERSION

# Of all crates and of the npm package.
workspace_version() { sed -n '/^\[workspace.package\]$/,/^\[/s/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml"; }

say() { printf '%s\n' "$*"; }

fail() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# step NAME COMMAND...: runs the command with its output in a log, and prints one line with the seconds it took.
# On failure the end of the log is shown and the answer is the command's.
step() {
    local name=$1 began=$SECONDS log status=0
    shift
    log=$log_dir/$(printf '%s' "$name" | tr -c 'A-Za-z0-9.\n' '-').log
    printf '%s ...' "$name"
    # In a subshell of its own, so that a `fail` inside is shown too.
    ("$@") >"$log" 2>&1 </dev/null || status=$?
    if [ "$status" -eq 0 ]; then
        printf ' %d s\n' $((SECONDS - began))
    else
        printf ' FAILED after %d s; the end of %s:\n' $((SECONDS - began)) "$log"
        tail -n 40 "$log"
    fi
    return "$status"
}

# within LIMIT COMMAND...: ends a command that takes longer, with all that it started; macOS has no timeout, and waits.
within() {
    local limit=$1
    shift
    if command -v timeout >/dev/null; then
        timeout --verbose --kill-after=30s "$limit" "$@"
    else
        "$@"
    fi
}

# ---- The tools, the most needed first: each needs_X installs X unless it is there.

needs_rust() {
    command -v rustc >/dev/null ||
        fail "no rustc on the PATH: install Rust $RUST_VERSION or newer from https://rustup.rs"
    local version
    version=$(rustc --version | cut -d' ' -f2)
    at_least "${version%%-*}" "$RUST_VERSION" ||
        fail "rustc $version is too old: klstore needs $RUST_VERSION (rustup update stable)"
}

# For the C code of zstd and of the TLS library.
needs_c_compiler() {
    command -v cc >/dev/null || needs_package cc "a C compiler (macOS: xcode-select --install)" gcc libc6-dev
    command -v cmake >/dev/null || needs_package cmake "CMake (macOS: brew install cmake)" cmake
}

# What librdkafka, which is built with the bridge, is linked with.
needs_librdkafka_libraries() {
    command -v apt-get >/dev/null || return 0
    needs_package librdkafka "headers of OpenSSL, libcurl and libsasl2" libssl-dev libcurl4-openssl-dev libsasl2-dev \
        pkg-config
}

# Whether the active toolchain has a target's compiled standard library.
has_rust_target() {
    command -v rustc >/dev/null && [ -d "$(rustc --print sysroot)/lib/rustlib/$1/lib" ]
}

# Debian's Rust, for a target that the active toolchain lacks: with it come the sources of the standard library.
needs_web_rust() {
    needs_package "the Rust target $1" "it with 'rustup target add $1'" rustc-web cargo-web rust-web-src
    local version
    version=$(/usr/bin/rustc --version | cut -d' ' -f2)
    at_least "$version" "$RUST_VERSION" ||
        fail "Debian's rustc-web is $version, klstore needs $RUST_VERSION: apt-get update && apt-get upgrade, or rustup target add $1"
}

needs_rust_lints() {
    local component
    for component in fmt clippy; do
        cargo "$component" --version >/dev/null 2>&1 ||
            fail "cargo $component is missing: rustup component add rustfmt clippy"
    done
}

# Prints the path of the versitygw command, which it installs from the Go proxy.
versitygw() { printf '%s/versitygw-%s/versitygw' "$setup_dir" "$VERSITYGW_VERSION"; }
needs_versitygw() { needs_go_command "$(versitygw)" "github.com/versity/versitygw/cmd/versitygw@$VERSITYGW_VERSION"; }

minio() { printf '%s/minio-%s/minio' "$setup_dir" "$MINIO_VERSION"; }
needs_minio() { needs_go_command "$(minio)" "github.com/minio/minio@$MINIO_VERSION"; }

# A Python with MinIO's own client, which makes users and policies; named by its lock file, as moto is.
minio_client_lock=$root/tests/servers/minio-client.txt
minio_client() { printf '%s/bin/python' "$(python_environment minio-client "$minio_client_lock")"; }
needs_minio_client() { needs_python_environment minio-client "$minio_client_lock"; }

# The path of moto's S3 server, in an environment named by its lock file: another lock file, another environment.
moto_lock=$root/tests/servers/requirements.txt
moto() { printf '%s/bin/moto_server' "$(python_environment moto "$moto_lock")"; }
needs_moto() { needs_python_environment moto "$moto_lock"; }

# Python with what the reader in tests/interop needs.
interop_lock=$root/tests/interop/requirements.txt
interop_python() { printf '%s/bin/python' "$(python_environment interop "$interop_lock")"; }
needs_interop() { needs_python_environment interop "$interop_lock"; }

# Apache Kafka's jars, from Maven Central, in a folder named by their pom: another pom, another folder.
kafka_pom=$root/tests/servers/kafka/pom.xml
kafka() { printf '%s/kafka-%s' "$setup_dir" "$(cksum <"$kafka_pom" | cut -d' ' -f1)"; }
needs_kafka() {
    alone
    [ ! -d "$(kafka)" ] || return 0
    command -v java >/dev/null ||
        needs_package java "a Java runtime, 17 or newer (macOS: brew install openjdk)" openjdk-17-jre-headless
    command -v mvn >/dev/null || needs_package mvn "Apache Maven (macOS: brew install maven)" maven
    # Into a folder beside it first, so that an interrupted download leaves nothing that looks whole.
    rm -rf "$(kafka).partial"
    mvn --quiet --batch-mode --file "$kafka_pom" dependency:copy-dependencies -DincludeScope=runtime \
        "-DoutputDirectory=$(kafka).partial" || fail "mvn could not download Apache Kafka"
    mv "$(kafka).partial" "$(kafka)"
}

needs_prometheus() {
    command -v prometheus >/dev/null || needs_package prometheus "Prometheus (macOS: brew install prometheus)" prometheus
}

# The command that writes JavaScript for a WebAssembly module: of the very version that the module was compiled with.
wasm_bindgen_version() { sed -n '/^name = "wasm-bindgen"$/{n;s/^version = "\(.*\)"$/\1/p;}' "$root/Cargo.lock"; }
wasm_bindgen() { printf '%s/wasm-bindgen-%s/bin/wasm-bindgen' "$setup_dir" "$(wasm_bindgen_version)"; }
# Without TLS, which only another one of its commands has a use for.
needs_wasm_bindgen() {
    needs_cargo_command "$(wasm_bindgen)" wasm-bindgen-cli "$(wasm_bindgen_version)" --no-default-features
}

cargo_fuzz() { printf '%s/cargo-fuzz-%s/bin/cargo-fuzz' "$setup_dir" "$CARGO_FUZZ_VERSION"; }
needs_cargo_fuzz() { needs_cargo_command "$(cargo_fuzz)" cargo-fuzz "$CARGO_FUZZ_VERSION"; }
cargo_deny() { printf '%s/cargo-deny-%s/bin/cargo-deny' "$setup_dir" "$CARGO_DENY_VERSION"; }
needs_cargo_deny() { needs_cargo_command "$(cargo_deny)" cargo-deny "$CARGO_DENY_VERSION"; }
cargo_mutants() { printf '%s/cargo-mutants-%s/bin/cargo-mutants' "$setup_dir" "$CARGO_MUTANTS_VERSION"; }
needs_cargo_mutants() { needs_cargo_command "$(cargo_mutants)" cargo-mutants "$CARGO_MUTANTS_VERSION"; }
cargo_semver_checks() { printf '%s/cargo-semver-checks-%s/bin/cargo-semver-checks' "$setup_dir" "$CARGO_SEMVER_CHECKS_VERSION"; }
needs_cargo_semver_checks() { needs_cargo_command "$(cargo_semver_checks)" cargo-semver-checks "$CARGO_SEMVER_CHECKS_VERSION"; }

# Optimised, unlike the others: it is measured.
s2() { printf '%s/s2-cli-%s/bin/s2' "$setup_dir" "$S2_VERSION"; }
needs_s2() {
    alone
    [ -x "$(s2)" ] && return
    local folder
    folder=$(dirname "$(dirname "$(s2)")")
    # Into a folder beside it first, so that an interrupted build leaves nothing that looks whole.
    rm -rf "$folder.partial"
    CARGO_TARGET_DIR=$folder.partial/target nice -n 10 \
        cargo install --quiet --locked --root "$folder.partial" --version "$S2_VERSION" s2-cli ||
        fail "cargo install s2-cli $S2_VERSION failed"
    rm -rf "$folder" "$folder.partial/target"
    mv "$folder.partial" "$folder"
}

needs_npm() {
    command -v npm >/dev/null ||
        needs_package npm "Node 20 or newer with npm (https://nodejs.org, macOS: brew install node)" nodejs npm
}

# The tools that build and check the npm package, as its lock file has them.
npm_package=$root/reader/npm
needs_npm_tools() {
    alone
    needs_npm
    [ "$npm_package/node_modules/.package-lock.json" -nt "$npm_package/package-lock.json" ] && return
    (cd "$npm_package" && npm ci --no-audit --no-fund) || fail "npm ci failed in $npm_package"
}

# sources_of PATH...: one number for all that is in these files and folders, but for tests and what is installed or made.
sources_of() {
    find "$@" \( -name node_modules -o -name dist -o -name test -o -name test-output \) -prune -o \
        -type f ! -name .made-of ! -path '*/engine/glue.js' ! -path '*/engine/klstore.wasm' -print |
        LC_ALL=C sort | tr '\n' '\0' | xargs -0 cksum | cksum
}

# Of what the npm package is made; to be asked in the repository's folder.
npm_sources() {
    sources_of Cargo.lock Cargo.toml format/src reader/src reader/wasm reader/npm/src reader/npm/*.json \
        reader/npm/*.md reader/npm/build.mjs reader/npm/exports.mjs script/npm-pack script/wasm-build
}

npm_tarball() { printf '%s/klstore-%s.tgz' "$npm_package" "$(sed -n 's/^  "version": "\(.*\)",$/\1/p' "$npm_package/package.json")"; }

# Packs the npm package, unless what is there was made of the same sources, which script/npm-pack has noted.
packed() {
    [ "$(npm_sources)" = "$(cat "$npm_package/.made-of" 2>/dev/null)" ] && [ -f "$(npm_tarball)" ] || "$root/script/npm-pack"
}

# What the npm package's tests run in: a browser, and from npm, as its lock file has them, workerd, Deno and Bun.
needs_npm_test_runtimes() {
    local folder=$npm_package/test
    needs_browser_tests "$folder"
    # Their own scripts, which put the commands of this machine's kind in place; Deno's is the last.
    [ -x "$folder/node_modules/deno/deno" ] && return
    (cd "$folder" && node node_modules/bun/install.js && node node_modules/deno/bin.cjs --version) ||
        fail "Bun's or Deno's command could not be put in place in $folder"
}

needs_web_test_runtimes() { needs_browser_tests "$root/web-demo/test"; }

# A browser, and what the lock file of a folder of tests has.
needs_browser_tests() {
    alone
    command -v chromium >/dev/null || [ -n "${KLSTORE_CHROMIUM-}" ] ||
        needs_package chromium "Chromium (elsewhere, say where it is: KLSTORE_CHROMIUM)" chromium
    [ "$1/node_modules/.package-lock.json" -nt "$1/package-lock.json" ] && return
    (cd "$1" && npm ci --no-audit --no-fund --ignore-scripts) || fail "npm ci failed in $1"
}

needs_firefox() {
    command -v firefox-esr >/dev/null || [ -n "${KLSTORE_FIREFOX-}" ] ||
        needs_package firefox-esr "Firefox (elsewhere, say where it is: KLSTORE_FIREFOX)" firefox-esr
}

# ---- How they are installed. Inside a step `set -e` does not act: every command that may fail says so itself.

# Waits until no other script of this checkout installs anything; holds until its step ends. (macOS has no flock.)
alone() {
    ! command -v flock >/dev/null || { exec 9>"$setup_dir/lock" && flock 9; }
}

# needs_go_command PATH MODULE@VERSION
needs_go_command() {
    alone
    [ -x "$1" ] && return
    command -v go >/dev/null ||
        fail "no go on the PATH: install Go 1.25 or newer (https://go.dev/dl, macOS: brew install go)"
    # Into a folder beside it first, so that an interrupted build leaves nothing that looks whole.
    local partial
    partial=$(dirname "$1").partial
    rm -rf "$partial"
    GOBIN=$partial go install "$2" || fail "go install $2 failed"
    rm -rf "$(dirname "$1")"
    mv "$partial" "$(dirname "$1")"
}

# needs_cargo_command PATH/bin/COMMAND CRATE VERSION [OPTION...]
needs_cargo_command() {
    alone
    [ -x "$1" ] && return
    local folder
    folder=$(dirname "$(dirname "$1")")
    # Into a folder beside it first, so that an interrupted build leaves nothing that looks whole.
    rm -rf "$folder.partial"
    # Its own lock file names the newest of everything, which a mirror of crates.io may not have yet.
    cargo_install "$folder.partial" "${@:2}" --locked || cargo_install "$folder.partial" "${@:2}" ||
        fail "cargo install $2 $3 failed"
    rm -rf "$folder" "$folder.partial/target"
    mv "$folder.partial" "$folder"
}

# cargo_install FOLDER CRATE VERSION [OPTION...]. Not optimised: such a command runs for seconds, and takes minutes to
# optimise.
cargo_install() {
    CARGO_PROFILE_DEV_DEBUG=false CARGO_TARGET_DIR=$1/target cargo install --quiet --debug --root "$1" --version "$3" "$2" "${@:4}"
}

# python_environment NAME LOCK: the folder of a virtual environment.
python_environment() { printf '%s/%s-%s' "$setup_dir" "$1" "$(cksum <"$2" | cut -d' ' -f1)"; }

needs_python_environment() {
    local folder
    folder=$(python_environment "$1" "$2")
    [ ! -e "$folder/complete" ] || return 0
    alone
    [ ! -e "$folder/complete" ] || return 0
    command -v python3 >/dev/null ||
        needs_package python3 "Python 3.10 or newer (macOS: brew install python)" python3 python3-venv
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        fail "Python 3.10 or newer is needed, and $(command -v python3) is not: $(python3 --version 2>&1)"
    python3 -c 'import venv, ensurepip' 2>/dev/null ||
        needs_package venv "Python's venv and ensurepip modules" python3-venv
    rm -rf "$folder"
    python3 -m venv "$folder" || fail "python3 -m venv $folder failed"
    "$folder/bin/python" -m pip install --no-input --disable-pip-version-check --require-hashes -r "$2" ||
        fail "pip could not install $2"
    touch "$folder/complete"
}

# needs_package WHAT MEANING PACKAGE...: Debian packages where there is apt, else a sentence that says what is missing.
needs_package() {
    local what=$1 meaning=$2 package missing=''
    shift 2
    command -v apt-get >/dev/null || fail "$what is missing: install $meaning and start again"
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || missing="$missing $package"
    done
    [ -z "$missing" ] && return
    # A third-party source that fails must not stop us: the installation below decides.
    as_root apt-get update || say "apt-get update failed; going on with the lists at hand"
    # --no-remove: never take away a package that the machine's owner chose.
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends --no-remove $missing ||
        fail "apt-get could not install$missing (for $meaning): install them by hand and start again"
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        # No question can be answered here: the output goes to a log.
        sudo -n "$@" || fail "needs root for: $*; run it by hand, or 'sudo -v' first, and start again"
    else
        fail "needs root and there is no sudo; run as root: $*"
    fi
}

# at_least VERSION WANTED, both of dotted numbers.
at_least() {
    awk -v version="$1" -v wanted="$2" 'BEGIN {
        split(version, v, "."); split(wanted, w, ".")
        for (i = 1; i <= 3; i++) if (v[i] + 0 != w[i] + 0) exit !(v[i] + 0 > w[i] + 0)
    }'
}
