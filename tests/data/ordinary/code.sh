#!/usr/bin/env bash
set -euo pipefail
[[ -n ${USER:-} && $# -gt 0 ]] || { echo "usage: $0 <user> <room>" >&2; exit 2; }
while read -r line; do case $line in \[*\]) echo "${line//[<>]/}" ;; esac; done <<EOF
<one> [two] &three;
EOF
cat <<<"$1" 2>&1 | sed -e 's/<[^>]*>//g' | tee >(wc -l) | systemctl status "$1" &
