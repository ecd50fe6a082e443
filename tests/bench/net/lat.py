#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""lat.py URL N [CAFILE] [--names FMT] : N sequential fresh connections; prints JSON lists of ms.
dns (only with --names, else resolved once), tcp = connect(), tls = handshake, ttfb = request sent to first byte, total = SYN to last byte."""
import sys, socket, ssl, json, time, urllib.parse, argparse
p = argparse.ArgumentParser(); p.add_argument("url"); p.add_argument("n", type=int); p.add_argument("ca", nargs="?"); p.add_argument("--names")
p.add_argument("--gap", type=float, default=0.0)
a = p.parse_args(); u = urllib.parse.urlsplit(a.url); port = u.port or (443 if u.scheme == "https" else 80)
ctx = None
if u.scheme == "https":
    ctx = ssl.create_default_context(cafile=a.ca)
out = {k: [] for k in ("dns", "tcp", "tls", "ttfb", "total")}; errs = []
t = time.perf_counter; ip = None if a.names else socket.getaddrinfo(u.hostname, port, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]
for i in range(a.n):
    if a.gap: time.sleep(a.gap)
    host = a.names % i if a.names else u.hostname
    try:
        t0 = t()
        if a.names: ip = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]
        t1 = t(); s = socket.socket(); s.settimeout(20); s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1); s.connect((ip, port)); t2 = t()
        if ctx: s = ctx.wrap_socket(s, server_hostname=host)
        t3 = t(); s.sendall(f"GET {u.path} HTTP/1.1\r\nHost: {host}{'' if port in (80, 443) else f':{port}'}\r\n\r\n".encode())
        b = s.recv(65536); t4 = t()
        head, _, body = b.partition(b"\r\n\r\n")
        cl = [int(l.split(b":")[1]) for l in head.split(b"\r\n") if l.lower().startswith(b"content-length:")]
        if b" 200 " not in head.split(b"\r\n")[0] + b" ": raise RuntimeError(head.split(b"\r\n")[0].decode())
        n = len(body)
        while n < cl[0]:
            c = s.recv(65536)
            if not c: raise RuntimeError("truncated %d/%d" % (n, cl[0]))
            n += len(c)
        t5 = t(); s.close()
        for k, v in zip(out, (t1 - t0, t2 - t1, t3 - t2, t4 - t3, t5 - t1)): out[k].append(v * 1e3)
    except Exception as e: errs.append(repr(e))
def q(v, f): v = sorted(v); return v[min(len(v) - 1, int(f * len(v)))] if v else None
print(json.dumps({"n": len(out["tcp"]), "errors": len(errs), "err_sample": errs[:3],
  **{k: {"p50": q(v, .5), "p99": q(v, .99), "max": max(v) if v else None} for k, v in out.items()}}))
