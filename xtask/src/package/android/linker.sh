#!/bin/sh
# Links for Android without its NDK: gives lld what rustc would have a C compiler give it.
# LIGHTNING_LINKER is lld, LIGHTNING_EMULATION what it links for, LIGHTNING_STUBS where Android's libraries are stood in for.
arguments=
for argument; do
    case $argument in
        -Wl,*) arguments="$arguments $(printf '%s' "${argument#-Wl,}" | tr ',' ' ')" ;;
        -nodefaultlibs | -nostartfiles | -m64 | -m32 | -fuse-ld=* | -march=* | --target=* | -rdynamic) ;;
        -lunwind | -lgcc) arguments="$arguments $LIGHTNING_STUBS/libunwind.a" ;;
        *) arguments="$arguments $argument" ;;
    esac
done
# shellcheck disable=SC2086 # none of them has spaces
exec "$LIGHTNING_LINKER" -m "$LIGHTNING_EMULATION" -L "$LIGHTNING_STUBS" $arguments
