#!/bin/sh
# Installs ccsync @VERSION@ for the user who runs it, or updates the copy that this script has installed.
#
#   curl -fsSL @LATEST@/install.sh | sh
#
# CCSYNC_INSTALL_DIR   directory of the program (default: that of the installed copy, else ~/.local/bin)
#
# Replaces nothing before the new program is downloaded, verified and tried. Needs no root, and changes no file of the
# shell.
set -u

version=@VERSION@
downloads=@DOWNLOADS@
# Lies beside the program, and says that this script put it there, and where newer versions are.
marker=.ccsync-install

fail() {
    echo "install ccsync: $1" >&2
    [ $# -lt 2 ] || echo "hint: $2" >&2
    exit 1
}

# Sets target and checksum.
find_target() {
    system=$(uname -s) processor=$(uname -m)
    # A process that is translated for another processor is told that one.
    if [ "$system" = Darwin ] && [ "$(sysctl -n hw.optional.arm64 2>/dev/null)" = 1 ]; then
        processor=arm64
    fi
    case $system-$processor in
    Linux-x86_64 | Linux-amd64)
        target=x86_64-unknown-linux-musl checksum=@SHA256:x86_64-unknown-linux-musl@
        ;;
    Linux-aarch64 | Linux-arm64)
        target=aarch64-unknown-linux-musl checksum=@SHA256:aarch64-unknown-linux-musl@
        ;;
    Darwin-x86_64)
        target=x86_64-apple-darwin checksum=@SHA256:x86_64-apple-darwin@
        ;;
    Darwin-arm64)
        target=aarch64-apple-darwin checksum=@SHA256:aarch64-apple-darwin@
        ;;
    MINGW* | MSYS* | CYGWIN*)
        fail "this is the script for Linux and macOS" "in PowerShell: irm @LATEST@/install.ps1 | iex"
        ;;
    *)
        fail "no program for $system on $processor" "build it from its source: @ADDRESS@"
        ;;
    esac
}

# Sets directory, and makes it.
find_directory() {
    installed=$(command -v ccsync) || installed=
    if [ -n "${CCSYNC_INSTALL_DIR:-}" ]; then
        directory=$CCSYNC_INSTALL_DIR
    elif [ -n "$installed" ] && [ -f "${installed%/*}/$marker" ]; then
        directory=${installed%/*}
    elif [ -n "${HOME:-}" ]; then
        directory=$HOME/.local/bin
    else
        fail "HOME is not set" "name the directory of the program in CCSYNC_INSTALL_DIR"
    fi
    if ! mkdir -p "$directory" 2>/dev/null || ! [ -w "$directory" ]; then
        fail "cannot write to $directory" "name another directory in CCSYNC_INSTALL_DIR"
    fi
    directory=$(cd "$directory" && pwd) || fail "cannot enter $directory"
    if [ -e "$directory/ccsync" ] && ! [ -f "$directory/$marker" ]; then
        fail "$directory/ccsync was not installed by this script" \
            "update it the way it was installed, or remove it, or name another directory in CCSYNC_INSTALL_DIR"
    fi
}

download() { # ADDRESS FILE
    if command -v curl >/dev/null; then
        curl -fsSL --retry 2 -o "$2" "$1"
    elif command -v wget >/dev/null; then
        case $(wget --version 2>/dev/null) in
        *GNU*) wget -q --tries=3 -O "$2" "$1" ;;
        *) wget -q -O "$2" "$1" ;;
        esac
    else
        fail "neither curl nor wget was found" "install one of them, or download $1 with a browser"
    fi
}

sha256() { # FILE
    if command -v sha256sum >/dev/null; then
        set -- sha256sum "$1"
    elif command -v shasum >/dev/null; then
        set -- shasum -a 256 "$1"
    elif command -v openssl >/dev/null; then
        set -- openssl dgst -sha256 -r "$1"
    else
        fail "cannot verify the download: none of sha256sum, shasum and openssl was found"
    fi
    "$@" | cut -d ' ' -f 1
}

version_of() { # PROGRAM
    "$1" --version 2>/dev/null </dev/null | sed -n 's/^ccsync //p'
}

# Downloads, verifies and tries the program, in a directory beside its final place.
prepare() {
    # What a killed run has left there.
    find "$directory" -maxdepth 1 -name '.ccsync-new.*' -mmin +60 -exec rm -rf {} + 2>/dev/null
    new=$(mktemp -d "$directory/.ccsync-new.XXXXXX") || fail "cannot write to $directory"
    trap 'rm -rf "$new"' EXIT
    trap 'exit 1' HUP INT TERM
    archive=ccsync-$target.tar.gz
    download "$downloads/$archive" "$new/$archive" || fail "cannot download $downloads/$archive" "try again later"
    found=$(sha256 "$new/$archive") || exit 1
    [ "$found" = "$checksum" ] ||
        fail "$downloads/$archive is not what was released (SHA-256 $found instead of $checksum)" \
            "nothing was changed; try again"
    tar -xzf "$new/$archive" -C "$new" || fail "cannot unpack $archive"
    [ "$(version_of "$new/ccsync-$target/ccsync")" = "$version" ] ||
        fail "the downloaded program does not run in $directory" \
            "nothing was changed; if no program may run there, name another directory in CCSYNC_INSTALL_DIR"
}

# The marker first: without it, the next run would not touch the program.
replace() {
    echo "@LATEST@" >"$new/$marker" &&
        mv -f "$new/$marker" "$directory/$marker" &&
        mv -f "$new/ccsync-$target/ccsync" "$directory/ccsync"
}

main() {
    find_target
    find_directory
    old=
    [ ! -x "$directory/ccsync" ] || old=$(version_of "$directory/ccsync")
    if [ "$old" = "$version" ]; then
        echo "ccsync $version is installed already: $directory/ccsync"
        return
    fi
    prepare
    replace || fail "cannot write to $directory"
    if [ -n "$old" ]; then
        echo "ccsync $version installed in place of $old: $directory/ccsync"
    else
        echo "ccsync $version installed: $directory/ccsync"
    fi
    tell_next
}

tell_next() {
    hash -r 2>/dev/null
    first=$(command -v ccsync) || first=
    if [ -z "$first" ]; then
        echo "hint: $directory is not on the PATH; for this shell and in its profile:"
        echo "    export PATH=\"$directory:\$PATH\""
    elif [ "$first" != "$directory/ccsync" ]; then
        echo "hint: the shell finds another one first: $first"
    fi
    command -v git >/dev/null || echo "hint: ccsync needs git 2.34 or later: install it"
    [ -n "$old" ] || echo "next: ccsync init"
}

# Last, so that a script that was cut off does nothing.
main
