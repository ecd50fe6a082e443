#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# rr.sh [ROUNDS] [BACKENDS...]: round-robin, one run of each headline test per backend per round, so that all backends see the same
# machine weather (CPU steal here drifts between 0 and 40 % over minutes). Appends to results/rr.jsonl; table.py merges.
cd "$(dirname "$0")"; n=${1:-5}; shift; B=${*:-gondolin veth veth1500 kernel passt mitmdump sslsplit}
./nb.py setup >/dev/null
i=0; while [ $i -lt $n ]; do for b in $B; do
  ./nb.py run $b --runs 1 --no-strict --out results/rr.jsonl --tests ${T:-http-get-1g,https-get-1g,https-put-60m,http-lat,https-lat,http-rps-ka-c16,https-rps-ka-c16,https-rps-close-c16}
done; i=$((i+1)); done
