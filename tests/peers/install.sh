#!/usr/bin/env bash
# Installs the Debian packages that the tests' real peers and the benchmarks need; quick and silent when they are there.
set -euo pipefail

packages=(
  docker.io        # Docker Engine 20.10, with its client, containerd and runc
  docker-registry  # the CNCF registry
  iptables         # dockerd looks for it even where it must not touch the firewall
  skopeo           # an independent reader of OCI layouts, archives and registries
  buildah          # another builder, on containers/storage
  podman           # another runtime
  mmdebstrap       # makes the folder in which Engine 28 runs, and the base image of the peers' Dockerfiles
  uidmap           # newuidmap, for podman and for unshare as an ordinary user
  busybox-static   # the smallest program that an image can hold
  util-linux       # unshare, nsenter, setpriv
  time             # /usr/bin/time: peak memory
)

missing=()
for package in "${packages[@]}"; do
  dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then exit 0; fi

say() { printf 'peers: %s\n' "$*" >&2; }
if ! command -v apt-get >/dev/null; then
  say "this is not Debian or Ubuntu: tests with real engines are skipped"
  exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
  say "not root: tests that need these packages are skipped; to have them: sudo apt-get install ${missing[*]}"
  exit 0
fi

# The packages bring services; the tests start their own engines, on their own sockets.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi

say "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
apt-get update -qq >"$log" 2>&1 || say "apt-get update failed in part; trying with what there is"
if ! apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" >>"$log" 2>&1; then
  tail -n 20 "$log" >&2
  say "apt-get could not install all of them (log: $log)"
  exit 1
fi
rm -f "$log"
