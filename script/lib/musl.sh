# shellcheck shell=bash
# How programs are compiled that need no library of the machine they run on: with musl, for x86_64 Linux. Sourced after
# setup.sh. Where the active Rust toolchain has the target (rustup target add x86_64-unknown-linux-musl), that is used.
# Otherwise Debian's rustc-web, which brings the sources of the standard library, compiles that as well.

readonly MUSL_TARGET=x86_64-unknown-linux-musl
readonly MUSL_LIBRARIES=/usr/lib/x86_64-linux-musl

needs_musl() {
    needs_package musl-gcc "musl with its C compiler" musl-tools
    has_rust_target "$MUSL_TARGET" || { needs_web_rust "$MUSL_TARGET" && needs_unwinder; }
}

# musl_cargo ARGUMENT...: cargo, for musl. Into folders of their own: two compilers in one would undo each other's work.
musl_cargo() {
    local target_dir=${CARGO_TARGET_DIR:-$root/target}
    # No paths of this machine in the program.
    local flags="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src= --remap-path-prefix=$root=klstore"
    export CC_x86_64_unknown_linux_musl=musl-gcc
    if has_rust_target "$MUSL_TARGET"; then
        RUSTFLAGS=$flags CARGO_TARGET_DIR=$target_dir/musl cargo "$@" --target "$MUSL_TARGET"
        return
    fi
    # RUSTC_BOOTSTRAP: -Zbuild-std is unstable, and this compiler has no compiled standard library for the target.
    env -u RUSTC_WRAPPER -u RUSTUP_TOOLCHAIN RUSTFLAGS="$flags $(linked_with_debians_musl)" \
        CARGO_TARGET_DIR="$target_dir/musl-web" CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER=cc \
        RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc RUSTC_BOOTSTRAP=1 \
        /usr/bin/cargo "$@" --target "$MUSL_TARGET" -Zbuild-std=std,panic_unwind
}

# musl_programs PROFILE: the folder that holds them.
musl_programs() {
    local folder=musl-web
    ! has_rust_target "$MUSL_TARGET" || folder=musl
    printf '%s' "${CARGO_TARGET_DIR:-$root/target}/$folder/$MUSL_TARGET/$1"
}

# What rustup's target brings, and here is Debian's: musl's and gcc's first and last objects of a static program whose place
# in memory is drawn at its start, musl, what gcc calls for C code (mimalloc counts bits so), and what unwinds panics.
linked_with_debians_musl() {
    local gcc
    gcc=$(dirname "$(cc -print-file-name=crtbeginS.o)")
    printf '%s ' -Clink-self-contained=no -Lnative=$MUSL_LIBRARIES "-Lnative=$(unwinder)" -Zpre-link-args=-nostartfiles \
        -Zpre-link-args=$MUSL_LIBRARIES/rcrt1.o -Zpre-link-args=$MUSL_LIBRARIES/crti.o "-Zpre-link-args=$gcc/crtbeginS.o" \
        "-Clink-arg=$(cc -print-libgcc-file-name)" "-Clink-arg=$gcc/crtendS.o" -Clink-arg=$MUSL_LIBRARIES/crtn.o
}

# LLVM's libunwind, which Debian compiled for glibc: what of that musl lacks is added. It calls it to say why it aborts.
unwinder() { printf '%s/musl-unwinder' "$setup_dir"; }
needs_unwinder() {
    needs_package libunwind "LLVM's libunwind" libunwind-19-dev
    local folder
    folder=$(unwinder)
    [ -f "$folder/libunwind.a" ] && return
    rm -rf "$folder.partial"
    mkdir "$folder.partial" && cp /usr/lib/llvm-19/lib/libunwind.a "$folder.partial/" &&
        musl-gcc -O2 -fPIC -c -x c -o "$folder.partial/fprintf_chk.o" - <<'C' &&
#include <stdarg.h>
#include <stdio.h>
int __fprintf_chk(FILE *stream, int flag, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int written = vfprintf(stream, format, arguments);
    va_end(arguments);
    return written;
}
C
        ar r "$folder.partial/libunwind.a" "$folder.partial/fprintf_chk.o" && mv "$folder.partial" "$folder" ||
        fail "LLVM's libunwind could not be made to fit musl"
}
