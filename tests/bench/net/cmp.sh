#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# comparators: cmp.sh [RUNS]
cd "$(dirname "$0")"; r=${1:-5}; ./nb.py setup >/dev/null
L=http-get-1g,https-get-1g,https-put-1g,http-lat,https-lat,http-rps-ka-c16,http-rps-close-c16,https-rps-ka-c16,https-rps-close-c16
for b in veth veth1500 kernel passt; do rm -f results/$b.jsonl; ./nb.py run $b --runs $r --tests $L,https-put-60m,ab-https-c16; done
for b in mitmdump sslsplit; do rm -f results/$b.jsonl; ./nb.py idle $b --runs 3; ./nb.py run $b --runs $r --tests $L,https-put-60m,https-cold-names,ab-https-c16; done
