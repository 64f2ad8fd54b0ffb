#!/bin/sh
# Calls the compiler that cargo names, for all crates but one as cargo says.
#
# UniFFI has the crate `anyhow` with its default feature `std`, by which each of its errors holds where it came from: the standard library's
# backtraces, and what reads mangled names. Nobody is shown them, and a stripped library has no names. It has the same interface without.
if [ "$CARGO_PKG_NAME" = anyhow ]; then
    left=$#
    while [ "$left" -gt 0 ]; do
        argument=$1
        shift
        left=$((left - 1))
        [ "$argument" = 'feature="std"' ] && argument=without_std
        set -- "$@" "$argument"
    done
fi
exec "$@"
