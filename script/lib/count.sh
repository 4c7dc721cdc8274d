# shellcheck shell=bash
# Parts, their minutes, and the count of what passed: shared by script/test and script/test-long. Needs setup.sh.

passed=0
failed=0
failures=''
minutes=''

# The counts are read from cargo's output.
export CARGO_TERM_COLOR=never
# What makes the next build faster makes this one slower, and here it is from nothing.
export CARGO_INCREMENTAL=${CARGO_INCREMENTAL:-0}

# part NAME: runs part_NAME and notes its minutes.
part() {
    local began=$SECONDS
    say "== $1"
    "part_$1"
    minutes="$minutes$(printf '%6d:%02d  %s' $(((SECONDS - began) / 60)) $(((SECONDS - began) % 60)) "$1${beside:-}")"$'\n'
}

# aside NAME NICENESS PART...: these parts, one after the other, beside what follows; where several want the processor, those
# of a higher niceness come later, and what follows comes first.
aside() {
    local name=$1 niceness=$2
    shift 2
    rm -f "$log_dir/$name.counts"
    (
        beside=' (beside others)' passed=0 failed=0 failures='' minutes=''
        renice -n "$niceness" -p "$(exec sh -c 'echo $PPID')" >/dev/null
        for each in "$@"; do part "$each"; done
        printf '%q ' "$passed" "$failed" "$failures" "$minutes" >"$log_dir/$name.counts"
    ) >"$log_dir/$name.log" 2>&1 </dev/null &
    eval "aside_$name=$!"
}

# joined NAME: waits for these parts, shows what they printed, and counts it.
joined() {
    local process=aside_$1
    wait "${!process}"
    cat "$log_dir/$1.log"
    if [ -f "$log_dir/$1.counts" ]; then
        eval "add_parts $(cat "$log_dir/$1.counts")"
    else
        add_counts "0 1" "$1 (it ended before it was done)"
    fi
}

add_parts() {
    passed=$((passed + $1))
    failed=$((failed + $2))
    failures="$failures$3"
    minutes="$minutes$4"
}

# Whoever stops this stops what runs beside it.
trap 'trap - INT TERM; kill 0' INT TERM

# check COMMAND...: one check that passes or fails.
check() {
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        failures="$failures  $*"$'\n'
    fi
}

# cargo_tests LOG COMMAND...: shows cargo's output as it comes and adds up its `test result` lines.
cargo_tests() {
    local log=$1 status counts
    shift
    "$@" 2>&1 </dev/null | tee "$log"
    status=${PIPESTATUS[0]}
    counts=$(awk '/^test result: / { p += $4; f += $6 } END { print p + 0, f + 0 }' "$log")
    passed=$((passed + ${counts% *}))
    failed=$((failed + ${counts#* }))
    if [ "$status" -ne 0 ]; then
        # A crate that does not compile, or a test program that died, has no line to count.
        [ "${counts#* }" -ne 0 ] || failed=$((failed + 1))
        failures="$failures  $*"$'\n'
    elif [ "${counts% *}" -eq 0 ]; then
        failed=$((failed + 1))
        failures="$failures  $* (it ran no test)"$'\n'
    fi
}

# add_counts "PASSED FAILED" WHAT: of checks that something else has counted.
add_counts() {
    passed=$((passed + ${1% *}))
    failed=$((failed + ${1#* }))
    [ "${1#* }" -eq 0 ] || failures="$failures  $2"$'\n'
}

# node_tests FOLDER LOG COMMAND...: tests that end with `N passed, M failed`, against the programs that were built. Before
# that they name those that failed, below `failed:`.
node_tests() {
    local folder=$1 log=$2 counts names
    shift 2
    (cd "$folder" && KLSTORE_BIN=$CARGO_TARGET_DIR/debug/klstore KLSTORE_GIANT=$CARGO_TARGET_DIR/debug/giant_list within 30m "$@") \
        2>&1 </dev/null | tee "$log"
    counts=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$log" | tail -n 1)
    names=$(sed -n '/^failed:$/,/^[0-9]* passed, /s/^  /      /p' "$log")
    add_counts "${counts:-0 1}" "$folder: $*${names:+$'\n'$names}"
}

# The closing lines.
report() {
    say "== minutes by part"
    printf '%s%6d:%02d  all\n' "$minutes" $((SECONDS / 60)) $((SECONDS % 60))
    [ -z "$failures" ] || printf '== failed\n%s' "$failures"
    say "$passed passed, $failed failed"
}

set_up_to_compile() {
    check step "set-up: C compiler and CMake" needs_c_compiler
    check step "set-up: libraries of librdkafka" needs_librdkafka_libraries
    check step "set-up: Rust $RUST_VERSION or newer" needs_rust
    check step "set-up: rustfmt and clippy" needs_rust_lints
}

# What a release depends on, and that takes seconds.
check_versions() { check step "versions: what files state, and what dependencies need" python3 "$root/script/lib/versions.py"; }
check_packages() { check step "packages: what each crate holds" python3 "$root/script/lib/packages.py"; }

set_up_test_servers() {
    check step "set-up: versitygw $VERSITYGW_VERSION from the Go proxy" needs_versitygw
    check step "set-up: moto from PyPI" needs_moto
    check step "set-up: Apache Kafka from Maven Central" needs_kafka
}

# Where the tests find them.
name_test_servers() {
    KLSTORE_TEST_VERSITYGW=$(versitygw)
    KLSTORE_TEST_MOTO=$(moto)
    KLSTORE_TEST_KAFKA=$(kafka)
    export KLSTORE_TEST_VERSITYGW KLSTORE_TEST_MOTO KLSTORE_TEST_KAFKA KLSTORE_TEST_REQUIRE_SERVERS=1
}
