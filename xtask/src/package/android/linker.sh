#!/bin/sh
# Links for Android. LIGHTNING_LINKER is a compiler of its NDK, or lld where there is none: then it is given what rustc would have a
# compiler give it. LIGHTNING_EMULATION is what lld links for, LIGHTNING_STUBS where Android's libraries are stood in for.
#
# What UniFFI tells of the interface to those who generate bindings from a library is exported like its functions, and so is the interface
# for C, whose header the package for Android does not have. Nobody asks for either, so they are taken off the list, and lld leaves them out.
left=$#
while [ "$left" -gt 0 ]; do
    argument=$1
    shift
    left=$((left - 1))
    case $argument in
        -Wl,--version-script=*)
            exported=${argument#-Wl,--version-script=}
            grep -v 'UNIFFI_META_\|_checksum_\|^ *lightning_' "$exported" > "$exported.asked"
            argument=$argument.asked
            ;;
    esac
    if [ -n "$LIGHTNING_EMULATION" ]; then
        case $argument in
            -Wl,*)
                # shellcheck disable=SC2046 # the parts have no spaces
                set -- "$@" $(printf '%s' "${argument#-Wl,}" | tr ',' ' ')
                continue
                ;;
            -nodefaultlibs | -nostartfiles | -m64 | -m32 | -fuse-ld=* | -march=* | --target=* | -rdynamic) continue ;;
            -lunwind | -lgcc) argument=$LIGHTNING_STUBS/libunwind.a ;;
        esac
    fi
    set -- "$@" "$argument"
done
if [ -n "$LIGHTNING_EMULATION" ]; then
    set -- -m "$LIGHTNING_EMULATION" -L "$LIGHTNING_STUBS" "$@"
fi
exec "$LIGHTNING_LINKER" "$@"
