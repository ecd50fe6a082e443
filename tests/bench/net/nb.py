#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""netbench: measure a guest-network backend from a network namespace. See README.md."""
import argparse, json, socket, os, re, shutil, signal, statistics, subprocess, sys, time, hashlib, pathlib
B = pathlib.Path(__file__).resolve().parent; ST = B / "state"; SHM = pathlib.Path("/dev/shm/netbench")
GUEST_IP, GW = "192.168.127.3", "192.168.127.1"; ORIGIN = "10.77.0.1"
MB = 1e6; SIZES = {"1k": 1024, "1m": 1 << 20, "2m": 2 << 20, "4m": 4 << 20, "8m": 8 << 20, "16m": 16 << 20, "60m": 60 << 20, "65m": 65 << 20, "256m": 256 << 20, "1g": 1 << 30, "4500m": 4500 << 20}
NAMES = ["origin.test"] + [f"c{i}.origin.test" for i in range(200)]
def sh(*a, check=True, **k): return subprocess.run(a, check=check, text=True, capture_output=True, **k)
def names_file(d, ip, extra=()):
    d.mkdir(parents=True, exist_ok=True)
    (d / "hosts").write_text(f"127.0.0.1 localhost {socket.gethostname()}\n" + ("".join(f"{ip} {n}\n" for n in NAMES) if ip else "") + "".join(f"{x}\n" for x in extra))
def rand_file(p, n):
    if p.exists() and p.stat().st_size == n: return
    with open(p, "wb") as f:
        left = n
        while left: k = min(left, 1 << 24); f.write(os.urandom(k)); left -= k
def setup(_=None):
    ST.mkdir(exist_ok=True); (SHM / "up").mkdir(parents=True, exist_ok=True); (SHM / "tmp").mkdir(exist_ok=True); (SHM / "src").mkdir(exist_ok=True)
    sh(str(B / "etc/mkpki.sh"))
    (B / "etc/nginx.conf").write_text((B / "etc/nginx.conf.in").read_text().replace("@NB_HOME@", str(B)))
    (B / "www").mkdir(exist_ok=True)
    for k in ("1k", "1m", "256m", "1g"): rand_file(B / "www" / k, SIZES[k])
    (B / "www/4500m").touch(); os.truncate(B / "www/4500m", SIZES["4500m"])     # sparse: > 2^32 bytes on one connection
    for k in ("2m", "4m", "8m", "16m", "60m", "65m", "1g"): rand_file(SHM / "src" / k, SIZES[k])
    have = sh("ip", "netns", "list").stdout
    for ns in ("nb-host", "nb-floor"):
        if ns not in have: sh("ip", "netns", "add", ns)
        sh("ip", "-n", ns, "link", "set", "lo", "up"); sh("ip", "netns", "exec", ns, "sysctl", "-qw", "net.ipv4.tcp_congestion_control=reno", "net.unix.max_dgram_qlen=512", "net.ipv4.ip_local_port_range=1024 65535", "net.ipv4.tcp_tw_reuse=1", check=False)
    if "v-host" not in sh("ip", "-n", "nb-host", "link").stdout:
        sh("ip", "-n", "nb-host", "addr", "add", ORIGIN + "/32", "dev", "lo")
        sh("ip", "-n", "nb-host", "link", "add", "v-host", "type", "veth", "peer", "name", "v-floor", "netns", "nb-floor")
        sh("ip", "-n", "nb-host", "addr", "add", "10.88.0.1/24", "dev", "v-host"); sh("ip", "-n", "nb-host", "link", "set", "v-host", "up")
        sh("ip", "-n", "nb-floor", "addr", "add", "10.88.0.2/24", "dev", "v-floor"); sh("ip", "-n", "nb-floor", "link", "set", "v-floor", "up")
        sh("ip", "-n", "nb-host", "route", "add", "default", "via", "10.88.0.2"); sh("ip", "-n", "nb-floor", "route", "add", "default", "via", "10.88.0.1")
    names_file(ST / "etc-host", ORIGIN, [f"{ORIGIN} evil.test"]); (ST / "etc-host/resolv.conf").write_text("options timeout:1 attempts:1\n")
    ng = ST / "nginx.pid"
    if not (ng.exists() and alive(int(ng.read_text() or 0))):
        subprocess.Popen([str(B / "bin/nbexec"), "nb-host", str(ST / "etc-host"), "nginx", "-c", str(B / "etc/nginx.conf"), "-p", str(ST)],
                         stdin=subprocess.DEVNULL, stdout=open(ST / "nginx.out", "w"), stderr=subprocess.STDOUT, start_new_session=True)
        for _ in range(100):
            if ng.exists() and alive(int(ng.read_text() or 0)): break
            time.sleep(.05)
    print("setup done; nginx pid", ng.read_text().strip())
def alive(pid):
    try: return pid > 0 and "nginx" in open(f"/proc/{pid}/cmdline").read()
    except OSError: return False
def teardown(_=None):
    ng = ST / "nginx.pid"
    if ng.exists() and alive(int(ng.read_text())): os.kill(int(ng.read_text()), signal.SIGTERM); time.sleep(.5)
    have = sh("ip", "netns", "list").stdout
    for ns in ("nb-host", "nb-floor", "nb-guest"):
        if ns in have: sh("ip", "netns", "del", ns, check=False)
    shutil.rmtree(SHM, ignore_errors=True); print("torn down")
# ---- process accounting
def tree(pid):
    out, todo = [], [pid]
    while todo:
        p = todo.pop(); out.append(p)
        try:
            for t in os.listdir(f"/proc/{p}/task"): todo += [int(x) for x in open(f"/proc/{p}/task/{t}/children").read().split()]
        except OSError: pass
    return out
def cpu(pid):       # (all threads of the tree, main thread of pid) in s
    tot = 0.0; main = 0.0
    for p in tree(pid):
        try:
            f = open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split(); tot += (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")
        except OSError: pass
    try: f = open(f"/proc/{pid}/task/{pid}/stat").read().rsplit(")", 1)[1].split(); main = (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")
    except OSError: pass
    return tot, main
def mem(pid, key):
    s = 0
    for p in tree(pid):
        try: s += int(re.search(key + r":\s+(\d+)", open(f"/proc/{p}/status").read()).group(1)) / 1024
        except (OSError, AttributeError): pass
    return round(s, 1)
def favour(pid):    # NB_NICE=-8: on a machine that others use, too; each session is a scheduling group of its own
    for p in tree(pid) if "NB_NICE" in os.environ else []:
        try: open(f"/proc/{p}/autogroup", "w").write(os.environ["NB_NICE"])
        except OSError: pass
def private(pid):   # MiB that only these processes have, by process
    out = {}
    for p in tree(pid):
        try: out[open(f"/proc/{p}/comm").read().strip()] = round(sum(int(x) for x in re.findall(r"Private_\w+:\s+(\d+)", open(f"/proc/{p}/smaps_rollup").read())) / 1024, 2)
        except OSError: pass
    return out
class Stack:
    """a fresh backend + guest namespace"""
    def __init__(self, name, env=None, quiet=True):
        self.name = name; self.dir = B / "backends" / name; self.cfg = json.loads((self.dir / "backend.json").read_text())
        self.state = ST / f"run-{name}"; shutil.rmtree(self.state, ignore_errors=True); self.state.mkdir(parents=True)
        self.env = dict(os.environ, NB_DIR=str(B), NB_STATE=str(self.state), NB_SOCK=str(self.state / "net.sock"), NB_ORIGIN_CA=str(B / "etc/pki/ca.crt"),
                        NB_MTU=str(self.cfg.get("mtu", 1500)), NB_HOST_ETC=str(ST / "etc-host"), **(env or {}))
        self.be = self.gn = None; c = self.cfg; self.ns = "nb-guest" if c["kind"] == "l2" else "nb-floor"
        names_file(self.state / "etc", c.get("hosts")); (self.state / "etc/resolv.conf").write_text(f"nameserver {c.get('dns', GW)}\noptions timeout:2 attempts:2\n")
        if c["kind"] == "veth":
            v = "on" if c.get("offload", True) else "off"
            sh("ip", "netns", "exec", "nb-host", "ethtool", "-K", "v-host", "tso", v, "gso", v, "gro", v, "tx", v, check=False)
            sh("ip", "netns", "exec", "nb-floor", "ethtool", "-K", "v-floor", "tso", v, "gso", v, "gro", v, "tx", v, check=False)
        log = open(self.state / "backend.log", "w")
        spawn = c.get("transport", "").startswith("spawn-")
        if (self.dir / "start").exists() and not spawn:
            self.be = subprocess.Popen([str(B / "bin/nbexec"), "nb-host", str(ST / "etc-host"), str(self.dir / "start")], env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
            self.wait(self.state / "net.sock" if c.get("ready") == "socket" else self.state / "ready", self.be)
        if c["kind"] == "l2":
            if "nb-guest" in sh("ip", "netns", "list").stdout: sh("ip", "netns", "del", "nb-guest")
            sh("ip", "netns", "add", "nb-guest"); sh("ip", "netns", "exec", "nb-guest", "sysctl", "-qw", "net.ipv4.tcp_congestion_control=reno", "net.ipv4.ip_local_port_range=1024 65535", "net.ipv4.tcp_tw_reuse=1", check=False)
            t = c.get("transport", "stream"); a = [str(B / "bin/guestns"), "--netns", "nb-guest", "--mtu", str(c.get("mtu", 1500)), "--ready", str(self.state / "guest.ready")]
            if c.get("sockbuf"): a += ["--sockbuf", str(c["sockbuf"])]
            s = str(self.state / "net.sock")
            a += {"stream": ["--stream", s], "stream-listen": ["--stream-listen", s],
                  "spawn-dgram": ["--spawn-dgram", str(B / "bin/nbexec"), "nb-host", str(ST / "etc-host"), str(self.dir / "start")]}[t]
            self.gn = subprocess.Popen(a, env=dict(self.env, NB_FD="3"), stdin=subprocess.DEVNULL, stdout=open(self.state / "guestns.log", "w"), stderr=subprocess.STDOUT, start_new_session=True)
            self.wait(self.state / "guest.ready", self.gn)
            if spawn: self.wait(self.state / "ready", self.gn); self.bepid = [p for p in tree(self.gn.pid) if p != self.gn.pid][0]
        if self.be: self.bepid = self.be.pid
        elif not spawn: self.bepid = None
        for p in (self.be, self.gn): p and favour(p.pid)
        favour(os.getpid()); favour(int((ST / "nginx.pid").read_text()))
        self.ca = str(self.state / "ca.pem") if c.get("mitm") else str(B / "etc/pki/ca.crt")
        self.base = {"http": c.get("http", "http://origin.test"), "https": c.get("https", "https://origin.test")}
    def wait(self, path, proc, secs=25):
        for _ in range(int(secs * 50)):
            if path.exists(): return
            if proc.poll() is not None: raise RuntimeError(f"{self.name}: exited {proc.returncode} early; see {self.state}")
            time.sleep(.02)
        self.close(); raise RuntimeError(f"{self.name}: {path} never appeared")
    def guest(self, *cmd, timeout=300, **k):
        return subprocess.run([str(B / "bin/nbexec"), self.ns, str(self.state / "etc"), "timeout", "-k", "2", str(timeout), *cmd], text=True, capture_output=True, **k)
    def snap(self):
        ng = int((ST / "nginx.pid").read_text())
        return {"t": time.time(), "be": cpu(self.bepid) if self.bepid else (0, 0), "gn": cpu(self.gn.pid)[0] - (cpu(self.bepid)[0] if self.bepid in tree(self.gn.pid) else 0) if self.gn else 0, "ng": cpu(ng)[0],
                "cl": sum(os.times()[2:4]), "stat": [int(x) for x in open("/proc/stat").readline().split()[1:9]]}
    def reset_hwm(self):
        for p in tree(self.bepid) if self.bepid else []:
            try: open(f"/proc/{p}/clear_refs", "w").write("5")
            except OSError: pass
    def close(self):
        for p in (self.gn, self.be):
            if p and p.poll() is None:
                kids = tree(p.pid)[1:]; p.terminate()
                for k in kids:
                    try: os.kill(k, signal.SIGTERM)
                    except OSError: pass
                try: p.wait(5)
                except subprocess.TimeoutExpired: p.kill(); p.wait()
        if self.cfg["kind"] == "l2": sh("ip", "netns", "del", "nb-guest", check=False)
    def __enter__(self): return self
    def __exit__(self, *a): self.close()
# ---- single measurements: return (value, extra) or raise
def curl(s, args, timeout):
    r = s.guest("curl", "-sS", "--cacert", s.ca, "-o", "/dev/null", "-w", "%{json}", *args, timeout=timeout)
    try: j = json.loads(r.stdout)
    except ValueError: raise RuntimeError(f"curl rc={r.returncode} {r.stderr.strip()[:200]}")
    if r.returncode: raise RuntimeError(f"curl rc={r.returncode} code={j['http_code']} down={j['size_download']} up={j['size_upload']} {r.stderr.strip()[:150]}")
    return j
def t_get(s, scheme, size, timeout=240, base=None, extra=()):
    j = curl(s, [*extra, f"{base or s.base[scheme]}/{size}"], timeout)
    if j["http_code"] != 200 or j["size_download"] != SIZES[size]: raise RuntimeError(f"code {j['http_code']} size {j['size_download']}")
    return SIZES[size] / MB / j["time_total"], {"secs": j["time_total"]}
def t_put(s, scheme, size, chunked=False, timeout=150, extra=()):
    n = f"{os.getpid()}-{time.time_ns()}"; dst = SHM / "up" / n
    try:
        j = curl(s, ["-H", "Expect:", "--speed-limit", "1000", "--speed-time", "25", "-T", str(SHM / "src" / size), *(["-H", "Transfer-Encoding: chunked"] if chunked else []), *extra, f"{s.base[scheme]}/up/{n}"], timeout)
        if j["http_code"] not in (201, 204): raise RuntimeError(f"code {j['http_code']} after {j['size_upload']} bytes up in {j['time_total']:.2f} s")
        if not dst.exists() or dst.stat().st_size != SIZES[size]: raise RuntimeError("origin stored %s of %d" % (dst.exists() and dst.stat().st_size, SIZES[size]))
        if sh("cmp", str(dst), str(SHM / "src" / size), check=False).returncode: raise RuntimeError("uploaded body differs")
        return SIZES[size] / MB / j["time_total"], {"secs": j["time_total"]}
    finally:
        if dst.exists(): dst.unlink()
def t_par(s, scheme, k=4, size="256m", timeout=240):
    t0 = time.time(); u = []
    for _ in range(k): u += ["-o", "/dev/null", f"{s.base[scheme]}/{size}"]
    r = s.guest("curl", "-sS", "--cacert", s.ca, "-Z", "--parallel-immediate", "--no-progress-meter", "-w", "%{size_download} %{http_code}\n", *u, timeout=timeout)
    el = time.time() - t0; ok = [l for l in r.stdout.split("\n") if l == f"{SIZES[size]} 200"]
    if len(ok) != k: raise RuntimeError(f"{len(ok)} of {k} complete: rc={r.returncode} {r.stdout!r} {r.stderr[:150]}")
    return k * SIZES[size] / MB / el, {"secs": el}
def lat_ms(x):
    m = re.match(r"([\d.]+)(us|ms|s|m)", x); return float(m[1]) * {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}[m[2]]
def t_wrk(s, scheme, conc, ka, secs=5):
    r = s.guest("wrk", "-t1", f"-c{conc}", f"-d{secs}s", "--timeout", "5s", "--latency", *([] if ka else ["-H", "Connection: close"]), f"{s.base[scheme]}/1k", timeout=secs + 20)
    o = r.stdout; m = re.search(r"Requests/sec:\s+([\d.]+)", o)
    if not m: raise RuntimeError(f"wrk rc={r.returncode} {o[-200:]} {r.stderr[-200:]}")
    e = {}
    for k in ("50", "99"):
        x = re.search(r"\s" + k + r"%\s+(\S+)", o); e[f"p{k}_ms"] = lat_ms(x[1]) if x else float("nan")
    x = re.search(r"Socket errors: (.*)", o); e["sock_errors"] = x[1] if x else ""; x = re.search(r"Non-2xx.*: (\d+)", o); e["non2xx"] = int(x[1]) if x else 0
    return float(m[1]), e
def t_ab(s, scheme, conc, n=2000):
    r = s.guest("ab", "-q", "-n", str(n), "-c", str(conc), "-s", "10", f"{s.base[scheme]}/1k", timeout=90); m = re.search(r"Requests per second:\s+([\d.]+)", r.stdout)
    if not m: raise RuntimeError(f"ab rc={r.returncode} {r.stderr[-200:]}")
    f = re.search(r"Failed requests:\s+(\d+)", r.stdout); return float(m[1]), {"failed": int(f[1])}
def t_lat(s, scheme, n=300, names=None, size="1k"):
    r = s.guest("/usr/bin/python3", str(B / "bin/lat.py"), f"{s.base[scheme]}/{size}", str(n), s.ca, *(["--names", names] if names else []), timeout=120)
    if r.returncode: raise RuntimeError(r.stderr[-300:])
    j = json.loads(r.stdout); k = "tls" if scheme == "https" else "tcp"
    if j["n"] == 0: raise RuntimeError(str(j))
    return j[k]["p50"], j
def t_load(s, scheme):
    p = subprocess.Popen([str(B / "bin/nbexec"), s.ns, str(s.state / "etc"), "timeout", "60", "curl", "-sS", "--cacert", s.ca, "-o", "/dev/null", f"{s.base[scheme]}/1g"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(.5)
    try:
        r = s.guest("/usr/bin/python3", str(B / "bin/lat.py"), f"{s.base['http' if s.base['http'] else 'https']}/1k", "100", s.ca, "--gap", "0.02", timeout=60); still = p.poll() is None
        j = json.loads(r.stdout); j["bulk_still_running"] = still
        return j["total"]["p50"], j
    finally:
        if p.poll() is None: p.terminate()
        p.wait()
T = {  # name: (fn, unit, runs (None = default), extra env)
  "http-get-1g": (lambda s: t_get(s, "http", "1g"), "MB/s", None, {}), "https-get-1g": (lambda s: t_get(s, "https", "1g"), "MB/s", None, {}),
  "http-get-256m": (lambda s: t_get(s, "http", "256m"), "MB/s", None, {}), "https-get-256m": (lambda s: t_get(s, "https", "256m"), "MB/s", None, {}),
  "http-par4": (lambda s: t_par(s, "http"), "MB/s", None, {}), "https-par4": (lambda s: t_par(s, "https"), "MB/s", None, {}),
  "raw-get-1g": (lambda s: t_get(s, "http", "1g", base="http://raw.origin.test:8080"), "MB/s", None, {}),
  "http-put-60m": (lambda s: t_put(s, "http", "60m"), "MB/s", None, {}), "https-put-60m": (lambda s: t_put(s, "https", "60m"), "MB/s", None, {}),
  "https1-get-256m": (lambda s: t_get(s, "https", "256m", extra=["--http1.1"]), "MB/s", None, {}), "https1-put-60m": (lambda s: t_put(s, "https", "60m", extra=["--http1.1"]), "MB/s", None, {}),
  "https-put-60m-chunked": (lambda s: t_put(s, "https", "60m", True), "MB/s", 1, {}),
  "https-put-65m": (lambda s: t_put(s, "https", "65m"), "MB/s", 1, {}),
  "https-put-1g": (lambda s: t_put(s, "https", "1g"), "MB/s", None, {"NB_MAXBODY": str(4 << 30)}), "http-put-1g": (lambda s: t_put(s, "http", "1g"), "MB/s", None, {"NB_MAXBODY": str(4 << 30)}),
  "http-get-4500m": (lambda s: t_get(s, "http", "4500m", extra=["--speed-limit", "1000", "--speed-time", "15"]), "MB/s", 1, {}),
  "http-lat": (lambda s: t_lat(s, "http"), "ms", None, {}), "https-lat": (lambda s: t_lat(s, "https"), "ms", None, {}),
  "https-cold-names": (lambda s: t_lat(s, "https", 40, "c%d.origin.test"), "ms", 1, {}),
  "lat-under-http": (lambda s: t_load(s, "http"), "ms", None, {}), "lat-under-https": (lambda s: t_load(s, "https"), "ms", None, {}),
  "ab-https-c16": (lambda s: t_ab(s, "https", 16), "req/s", None, {}), "ab-http-c16": (lambda s: t_ab(s, "http", 16), "req/s", None, {}),
}
for sc in ("http", "https"):
    for z in ("2m", "4m", "8m", "16m"): T[f"{sc}-put-{z}-chunked"] = (lambda s, sc=sc, z=z: t_put(s, sc, z, True, 100), "MB/s", 1, {})
    for ka in (1, 0):
        for c in (1, 16, 64): T[f"{sc}-rps-{'ka' if ka else 'close'}-c{c}"] = (lambda s, sc=sc, ka=ka, c=c: t_wrk(s, sc, c, ka), "req/s", None, {})
def run(a):
    out = pathlib.Path(a.out or B / "results" / f"{a.backend}.jsonl"); out.parent.mkdir(exist_ok=True)
    names = a.tests.split(",") if a.tests else list(T)
    for n in names:
        fn, unit, runs, env = T[n]; runs = runs or a.runs
        rec = {"backend": a.label or a.backend, "test": n, "unit": unit, "runs": [], "fail": []}
        fresh = "-rps-" in n or n.startswith("ab-"); rec["discarded"] = 0; s = None; done = tries = 0     # fresh stack a run: no TIME_WAIT left over in the guest
        try:
            while done < runs and tries < runs * 2:
                tries += 1
                if s is None:
                    s = Stack(a.backend, env)
                    if ("https" in n and not s.base["https"]) or ("https" not in n and not s.base["http"]) or (n.startswith("raw") and not s.cfg.get("raw")): rec = None; break
                    time.sleep(.5); rec["idle_rss"] = mem(s.bepid, "VmRSS") if s.bepid else None
                    if "cold" not in n and not n.startswith("raw"):
                        for _ in range(3):
                            try: t_get(s, "https" if "https" in n else "http", "1m", 20, extra=["--http1.1"] if "https1" in n else [])     # warm-up: leaf certificate, JIT, upstream pool
                            except Exception as e: rec["fail"].append("warmup " + repr(e))
                    s.reset_hwm()
                quiet(60 if a.strict else 2); b = s.snap(); err = None
                try: v, ex = fn(s)
                except Exception as e: err = str(e)[:400]; ex = {}
                c = s.snap(); w = ex.get("secs") or c["t"] - b["t"]; st = [y - x for x, y in zip(b["stat"], c["stat"])]
                r = {"wall": w, "be_cpu": c["be"][0] - b["be"][0], "be_main_pct": 100 * (c["be"][1] - b["be"][1]) / w, "guestns_cpu": c["gn"] - b["gn"],
                     "nginx_cpu": c["ng"] - b["ng"], "client_cpu": c["cl"] - b["cl"], "idle_pct": 100 * (st[3] + st[4]) / max(1, sum(st)), "steal_pct": 100 * st[7] / max(1, sum(st)), "extra": ex}
                r["other_cpu"] = (sum(st) - st[3] - st[4] - st[7]) / 100 - r["be_cpu"] - r["guestns_cpu"] - r["nginx_cpu"] - r["client_cpu"]
                if (r["other_cpu"] > .2 * (c["t"] - b["t"]) + .2 or r["steal_pct"] > 10) and a.strict: rec["discarded"] += 1; print(f"  {n}: run discarded ({0 if err else v:.1f}), strangers used {r['other_cpu']:.1f} CPU s in {w:.1f} s, steal {r['steal_pct']:.0f}%", flush=True)
                elif err: rec["fail"].append(err); done += 1; print(f"  {n} run {done}: FAIL {err[:300]}", flush=True)
                else: rec["runs"].append({"v": v, **r}); done += 1
                if done == runs or fresh:
                    rec["peak_rss"] = max(rec.get("peak_rss") or 0, mem(s.bepid, "VmHWM")) if s.bepid else None; time.sleep(.3); rec["end_rss"] = mem(s.bepid, "VmRSS") if s.bepid else None
                    if (s.dir / "backend.mjs").exists() and s.bepid:
                        try: os.kill(s.bepid, signal.SIGUSR2); time.sleep(.2); rec["state"] = json.loads((s.state / "errors.json").read_text())
                        except Exception: pass
                    rec["log_tail"] = (s.state / "backend.log").read_text()[-600:]
                if fresh: s.close(); s = None
        except RuntimeError as e: print(f"{n}: START FAILED {e}"); rec["fail"].append(repr(e))
        finally:
            if s: s.close()
        if rec is None: continue
        try: rec["guestns"] = (ST / f"run-{a.backend}" / "guestns.log").read_text()[-400:]
        except OSError: pass
        out.open("a").write(json.dumps(rec) + "\n"); v = [r["v"] for r in rec["runs"]]
        if v: print(f"{rec['backend']:10} {n:24} {min(v):9.2f} {statistics.median(v):9.2f} {max(v):9.2f} {unit:6} n={len(v)} fail={len(rec['fail'])} disc={rec['discarded']} cpu={statistics.median(r['be_cpu'] for r in rec['runs']):.2f}s main={statistics.median(r['be_main_pct'] for r in rec['runs']):.0f}% idle={statistics.median(r['idle_pct'] for r in rec['runs']):.0f}% rss {rec['idle_rss']}->{rec['peak_rss']}", flush=True)
        else: print(f"{rec['backend']:10} {n:24} no result; {rec['fail'][:2]}", flush=True)
def quiet(limit=60):
    """wait (bounded) until the machine is idle"""
    for _ in range(int(limit / .5)):
        a = [int(x) for x in open("/proc/stat").readline().split()[1:9]]; time.sleep(.4); b = [int(x) for x in open("/proc/stat").readline().split()[1:9]]
        d = [y - x for x, y in zip(a, b)]
        if 1 - (d[3] + d[4]) / max(1, sum(d)) < .08: return True
        time.sleep(.1)
    return False
def idle(a):
    v = []
    for _ in range(a.runs):
        with Stack(a.backend) as s:
            time.sleep(4); b = cpu(s.bepid)[0]; time.sleep(4); v.append((mem(s.bepid, "VmRSS"), cpu(s.bepid)[0] - b, private(s.bepid)))
    rec = {"backend": a.backend, "test": "idle", "unit": "MiB", "runs": [{"v": x[0], "cpu4s": x[1], "private": x[2]} for x in v], "fail": []}
    pathlib.Path(a.out or B / "results" / f"{a.backend}.jsonl").open("a").write(json.dumps(rec) + "\n"); print("idle RSS MiB, CPU s over 4 s, private MiB of each process:", v)
PIPE = """
import socket, ssl, sys, urllib.parse
u = urllib.parse.urlsplit(sys.argv[3]); s = socket.create_connection((u.hostname, u.port or (443 if sys.argv[1] == 'https' else 80)), 5)
if sys.argv[1] == 'https': s = ssl.create_default_context(cafile=sys.argv[2]).wrap_socket(s, server_hostname=u.hostname)
s.settimeout(4); s.sendall(b'GET /1k HTTP/1.1\\r\\nHost: origin.test\\r\\n\\r\\n' * 2); d = b''
try:
    while d.count(b'200 OK') < 2:
        b = s.recv(65536)
        if not b: break
        d += b
except OSError: pass
print(d.count(b'200 OK'))
"""
def sha(p): return hashlib.file_digest(open(p, "rb"), "sha256").hexdigest()
def correct(a):
    """functional checks, each printed as ok/FAIL"""
    with Stack(a.backend) as s:
        def chk(n, ok, info=""): print(("ok   " if ok else "FAIL ") + n, info, flush=True)
        for sc in ("http", "https"):
            if not s.base[sc]: continue
            for f in ("1k", "1m", "1g"):
                r = s.guest("sh", "-c", f"curl -sS --cacert {s.ca} {s.base[sc]}/{f} | sha256sum", timeout=240); chk(f"{sc} {f} sha256", r.stdout[:64] == sha(B / "www" / f), r.stderr.strip()[:100])
            r = s.guest("curl", "-sS", "-v", "--cacert", s.ca, "-o", "/dev/null", "-o", "/dev/null", f"{s.base[sc]}/1k", f"{s.base[sc]}/1k", timeout=20)
            chk(f"{sc} keep-alive reuse", "Re-using existing connection" in r.stderr, "; ".join(l for l in r.stderr.split("\n") if "onnection:" in l)[:100])
            r = s.guest("/usr/bin/python3", "-c", PIPE, sc, s.ca, s.base[sc], timeout=20); chk(f"{sc} two pipelined requests, answers:", r.stdout.strip() == "2", r.stdout.strip() + r.stderr[-150:])
            for what, h in (("plain", ["-H", "Expect:"]), ("curl default, Expect: 100-continue", []), ("chunked", ["-H", "Expect:", "-H", "Transfer-Encoding: chunked"])):
                r = s.guest("curl", "-sS", "--cacert", s.ca, "-o", "/dev/null", "-w", "%{http_code}", *h, "-T", str(SHM / "src/60m"), f"{s.base[sc]}/up/chk", timeout=120)
                d = SHM / "up/chk"; same = d.exists() and sh("cmp", str(d), str(SHM / "src/60m"), check=False).returncode == 0
                chk(f"{sc} 60 MiB upload, {what}", r.stdout in ("201", "204") and same, r.stdout + " " + r.stderr.strip()[:100]); d.unlink(missing_ok=True)
        if s.cfg.get("mitm") and (s.state / "env.json").exists():
            ph = json.loads((s.state / "env.json").read_text())["NB_SECRET"]
            r = s.guest("curl", "-sS", "--cacert", s.ca, "-H", f"Authorization: Bearer {ph}", f"{s.base['https']}/echo", timeout=20); chk("secret substituted", "real-secret" in r.stdout, r.stdout.strip()[:100])
            r = s.guest("curl", "-sS", "--cacert", s.ca, "-H", f"Authorization: Bearer {ph}", "https://c1.origin.test/echo", timeout=20); chk("secret refused for other host", "real-secret" not in r.stdout, r.stdout.strip()[:100])
            r = s.guest("curl", "-sS", "--cacert", s.ca, "https://evil.test/", timeout=20); chk("host not allowed is refused", "403" in r.stdout, r.stdout.strip()[:100])
def main():
    p = argparse.ArgumentParser(); q = p.add_subparsers(required=True)
    for n, f in (("setup", setup), ("teardown", teardown)): q.add_parser(n).set_defaults(f=f)
    for n, f in (("run", run), ("idle", idle), ("correct", correct)):
        x = q.add_parser(n); x.add_argument("backend"); x.add_argument("--tests"); x.add_argument("--runs", type=int, default=5); x.add_argument("--out"); x.add_argument("--label"); x.add_argument("--no-strict", dest="strict", action="store_false", help="keep runs during which strangers used CPU"); x.set_defaults(f=f)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)); a = p.parse_args(); a.f(a)
if __name__ == "__main__": main()
