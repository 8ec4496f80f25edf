#!/bin/sh
# Install exactly the packages of a lock file: ops/install.sh PYTHON LOCK
#
# pip resolves nothing, so a new release on the index cannot change or break the installation.
# Two packages have no wheel and are built with the locked setuptools (build isolation would fetch the
# newest one): localstripe, and gunicorn's HTTP parser in C, which needs a C compiler and Python's
# headers. Without them, gunicorn uses its slower parser in Python.
# At the end, `pip check` fails if the lock file lacks a package, and names it.
set -eu

python=$1
lock=$2
compiled='/^gunicorn-h1c==/,/[^\\]$/'
built='/^localstripe==/,/[^\\]$/'
parts=$(mktemp -d)
trap 'rm -rf "$parts"' EXIT

install() {
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes "$@"
}

sed -e "${compiled}d" -e "${built}d" "$lock" > "$parts/wheels.txt"
sed -n "${built}p" "$lock" > "$parts/built.txt"
sed -n "${compiled}p" "$lock" > "$parts/compiled.txt"
install --only-binary :all: --requirement "$parts/wheels.txt"
if [ -s "$parts/built.txt" ]; then
    install --no-build-isolation --requirement "$parts/built.txt"
fi
if [ -s "$parts/compiled.txt" ]; then
    install --no-build-isolation --requirement "$parts/compiled.txt" > "$parts/log" 2>&1 || {
        [ "${REQUIRE_COMPILER:-}" != 1 ] || { cat "$parts/log" >&2; exit 1; }
        echo "gunicorn-h1c was not compiled (no C compiler or no Python headers); gunicorn uses its slower parser."
    }
fi
"$python" -m pip check --disable-pip-version-check
