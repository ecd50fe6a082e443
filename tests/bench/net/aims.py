#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""aims.py FILE...: medians of one interleaved run side by side, and what `ours` and `ours64k` are of the others."""
import json, sys, statistics as st
ROWS = (("http-get", "HTTP download, MB/s"), ("https-get", "HTTPS download, MB/s"), ("https-put", "HTTPS upload, MB/s"),
        ("https1-get", "HTTPS download, HTTP/1.1, MB/s"), ("https1-put", "HTTPS upload, HTTP/1.1, MB/s"),
        ("https-rps-ka-c1", "HTTPS requests/s, kept, 1 at once"), ("https-rps-ka-c16", "the same, 16 at once"),
        ("https-rps-close-c16", "HTTPS requests/s, a connection each, 16 at once"), ("https-cold-names", "first handshake to a new name, ms"),
        ("idle", "idle, resident MiB"))
RATIOS = (("ours", "gondolin"), ("ours", "kernel"), ("ours", "passt"), ("ours64k", "kernel64k"), ("ours64k", "sslsplit"), ("ours", "veth"))
M, F = {}, {}
number = lambda x: f"{x:.0f}" if x >= 100 else f"{x:.3g}"
for f in sys.argv[1:]:
    for l in open(f):
        r = json.loads(l)
        for k, _ in ROWS:
            if r["test"] == k or r["test"].startswith(k + "-"):
                M.setdefault((r["backend"], k), []).extend(x["v"] for x in r["runs"]); F[r["backend"], k] = F.get((r["backend"], k), 0) + len(r["fail"])
                break
B = [b for b in dict.fromkeys(b for b, _ in M)]
print("| | " + " | ".join(B) + " |\n|---" + "|---" * len(B) + "|")
for k, what in ROWS:
    cell = lambda b: number(st.median(M[b, k])) + (f" ({F[b, k]} failed)" if F[b, k] else "") if M.get((b, k)) else ("failed" if F.get((b, k)) else "-")
    if any((b, k) in M for b in B): print(f"| {what} | " + " | ".join(cell(b) for b in B) + " |")
print("\n| | " + " | ".join(f"{a} / {b}" for a, b in RATIOS) + " |\n|---" + "|---" * len(RATIOS) + "|")
for k, what in ROWS:
    cell = lambda a, b: f"{st.median(M[a, k]) / st.median(M[b, k]):.3g}" if M.get((a, k)) and M.get((b, k)) else "-"
    if any(M.get((a, k)) and M.get((b, k)) for a, b in RATIOS): print(f"| {what} | " + " | ".join(cell(a, b) for a, b in RATIOS) + " |")
