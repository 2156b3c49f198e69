#!/usr/bin/env bash
# daemon.sh ROOT FOLDER PROGRAM...: runs PROGRAM as root in the file system ROOT, with FOLDER at the same path inside.
#
# It is started as process 1 of process and mount namespaces of its own (see daemon.py), so every process and every
# mount that an engine makes is gone once this script is, however it ended.
set -euo pipefail

root=$1 folder=$2
shift 2

enter=()
if [ "$root" = / ]; then
  mount -t proc proc /proc
  for path in /run/containerd /run/docker; do # an engine of the machine itself is neither used nor disturbed
    mkdir -p "$path"
    mount -t tmpfs tmpfs "$path"
  done
else
  mount --bind "$root" "$root" # containerd wants its root to be a mount
  mount -t proc proc "$root/proc"
  mount --rbind /sys "$root/sys"
  mount --rbind /dev "$root/dev"
  mount -t tmpfs tmpfs "$root/run"
  mount -t tmpfs tmpfs "$root/tmp"
  mkdir -p "$root$folder"
  mount --bind "$folder" "$root$folder"
  for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt; do
    if [ -e "$file" ]; then
      [ -e "$root$file" ] || touch "$root$file"
      mount --bind "$(realpath "$file")" "$(realpath "$root$file")"
    fi
  done
  enter=(chroot "$root")
fi

"${enter[@]}" "$@" &
daemon=$!
trap 'kill -TERM $daemon' TERM
wait "$daemon" || wait "$daemon" # the first wait ends when the signal arrives
