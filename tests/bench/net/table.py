#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
import json, sys, statistics as st
print("| backend | test | unit | min | median | max | n | fail | backend CPU s | CPU s/GB | main % | guestns s | nginx s | idle % | other s | steal % | RSS idle/peak MiB |"); print("|---|" * 1 + "---|" * 16)
M = {}
for f in sys.argv[1:]:
    for l in open(f):
        r = json.loads(l); k = (r["backend"], r["test"])
        if k in M: M[k]["runs"] += r["runs"]; M[k]["fail"] += r["fail"]; M[k]["peak_rss"] = max(M[k].get("peak_rss") or 0, r.get("peak_rss") or 0)
        else: M[k] = r
if True:
    for r in M.values():
        x = r["runs"]; v = [a["v"] for a in x]
        if not v: print(f"| {r['backend']} | {r['test']} | {r['unit']} | - | - | - | 0 | {len(r['fail'])}: {r['fail'][0][:90] if r['fail'] else ''} |"); continue
        m = lambda k: st.median(a.get(k, 0) for a in x); secs = st.median(a.get("wall", 1) for a in x); gb = st.median(v) * secs / 1e3 if r["unit"] == "MB/s" else 0
        print(f"| {r['backend']} | {r['test']} | {r['unit']} | {min(v):.4g} | {st.median(v):.4g} | {max(v):.4g} | {len(v)} | {len(r['fail'])} | {m('be_cpu'):.2f} | {m('be_cpu') / gb if gb else 0:.1f} | {m('be_main_pct'):.0f} | {m('guestns_cpu'):.2f} | {m('nginx_cpu'):.2f} | {m('idle_pct'):.0f} | {m('other_cpu'):.2f} | {m('steal_pct'):.0f} | {r.get('idle_rss')}/{r.get('peak_rss')} |")
        e = [a.get("extra") for a in x if isinstance(a.get("extra"), dict)]
        if e and "tls" in e[0]:
            for k in ("tcp", "tls", "ttfb", "total"): print(f"|   | · {k} p50 / p99 ms | | {min(a[k]['p50'] for a in e):.2f} / {min(a[k]['p99'] for a in e):.2f} | {st.median(a[k]['p50'] for a in e):.2f} / {st.median(a[k]['p99'] for a in e):.2f} | {max(a[k]['p50'] for a in e):.2f} / {max(a[k]['p99'] for a in e):.2f} | errors {sum(a['errors'] for a in e)} |")
        if e and "p99_ms" in e[0]: print(f"|   | · latency p50 / p99 ms | | | {st.median(a['p50_ms'] for a in e):.2f} / {st.median(a['p99_ms'] for a in e):.2f} | | | {' ; '.join(sorted({a['sock_errors'] for a in e if a['sock_errors']}))[:120]} |")
