#!/usr/bin/env bash
# venv.sh FOLDER: makes a virtual environment with a Python of at least 3.11 and a pip that knows dependency groups.
set -euo pipefail

fits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

python=
for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
  if fits "$candidate"; then python=$candidate && break; fi
done
if [ -z "$python" ]; then
  echo 'shipml needs Python 3.11 or newer, and none is on PATH; install one, or name it: make PYTHON=/path/to/python …' >&2
  exit 1
fi

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then # Debian keeps them in a package of their own
  package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "$python cannot make virtual environments; on Debian: sudo apt-get install $package" >&2
    exit 1
  fi
  { apt-get update -qq || true; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$package"; } >/dev/null
fi

# A run that is stopped half way must leave nothing that looks whole.
rm -rf "$1"
trap 'rm -rf "$1"' ERR INT TERM
"$python" -m venv "$1"
"$1/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
