#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# full suite for one backend: suite.sh BACKEND [RUNS] [TESTS]
cd "$(dirname "$0")"; b=$1; r=${2:-5}
t=${3:-http-get-1g,https-get-1g,https-put-60m,http-put-60m,http-lat,https-lat,https-cold-names,http-rps-ka-c1,http-rps-ka-c16,http-rps-close-c16,http-rps-ka-c64,https-rps-ka-c1,https-rps-ka-c16,https-rps-close-c16,https-rps-ka-c64,ab-http-c16,ab-https-c16,https-put-65m,https-put-1g,http-put-1g,raw-get-1g,http-par4,https-par4,lat-under-http,lat-under-https,https-put-60m-chunked,http-put-2m-chunked,http-put-4m-chunked,http-put-8m-chunked,http-put-16m-chunked,https-put-8m-chunked,https-put-16m-chunked}
./nb.py setup >/dev/null; [ -z "$3" ] && ./nb.py idle $b --runs $r
exec ./nb.py run $b --runs $r --tests $t
