#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# rr.sh [ROUNDS] [BACKENDS...]: round-robin, one run of each headline test per backend per round, so that all backends see the same
# machine weather (CPU steal here drifts between 0 and 40 % over minutes). Appends to results/rr.jsonl; table.py merges, aims.py compares.
cd "$(dirname "$0")"; n=${1:-5}; [ $# -gt 0 ] && shift; B=${*:-gondolin passt sslsplit mitmdump kernel kernel64k ours ours64k ours-secret veth}
./nb.py setup >/dev/null
i=0; while [ $i -lt $n ]; do for b in $B; do
  ./nb.py run $b --runs 1 --no-strict --out results/rr.jsonl --tests ${T:-http-get-256m,https-get-256m,https-put-60m,https-rps-ka-c1,https-rps-ka-c16,https-rps-close-c16,https-cold-names}
done; i=$((i+1)); done
