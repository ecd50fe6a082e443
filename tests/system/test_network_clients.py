# SPDX-License-Identifier: Apache-2.0
"""Unmodified clients in a guest, against real origins, over both address families.

The guest is the small one; the programs are this host's own, whose root it has read-only on /host: what the
distribution ships, run by chroot with the guest's network, resolver and trust.
"""
import hashlib
import os
import pathlib
import shutil
import subprocess
import unittest
import zipfile

import harness
import origins
from harness import OneSandbox, Sandbox

SECRET = "s3cr3t-" + hashlib.sha256(os.urandom(16)).hexdigest()
LARGE = os.urandom(1 << 20) * 4
WHEELS = pathlib.Path("/usr/share/python-wheels")
WORLD = None

# Makes /host a root of which programs can be run, and says what is in it.
PREPARE = """
mount -t tmpfs tmpfs /host/tmp && mount -t tmpfs tmpfs /host/run && mount -t proc proc /host/proc &&
mount -o bind /dev /host/dev && mount -o bind /world /host/mnt && mkdir /host/run/gondolin && mount -o bind /run/gondolin /host/run/gondolin || exit 1
for f in /etc/resolv.conf /etc/hosts; do [ ! -e /host$f ] || mount -o bind $f /host$f || exit 1; done
f=/host/etc/ssl/certs/ca-certificates.crt
[ ! -e $f ] || mount -o bind /run/gondolin/ca-certificates.crt $f
"""

SOCKET = """
import base64, os, socket, ssl, struct, sys
host, port = sys.argv[1], int(sys.argv[2])
family = {"4": socket.AF_INET, "6": socket.AF_INET6}[sys.argv[3]]
address = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)[0][4]
s = ssl.create_default_context().wrap_socket(socket.create_connection(address[:2]), server_hostname=host)
key = base64.b64encode(os.urandom(16)).decode()
s.sendall(f"GET /socket HTTP/1.1\\r\\nHost: {host}:{port}\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n"
          f"Sec-WebSocket-Key: {key}\\r\\nSec-WebSocket-Version: 13\\r\\n\\r\\n".encode())
f = s.makefile("rb")
print(f.readline().decode().strip())
while f.readline().strip():
    pass
for text in (b"hello", b"x" * 300):
    mask = os.urandom(4)
    size = bytes([0x80 | len(text)]) if len(text) < 126 else b"\\xfe" + struct.pack(">H", len(text))
    s.sendall(b"\\x81" + size + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(text)))
    head = f.read(2)
    n = head[1] if head[1] < 126 else struct.unpack(">H", f.read(2))[0]
    print(f.read(n).decode())
s.sendall(b"\\x88\\x80abcd")
print(f.read(2))
"""

NODE = """
const [plain, tls, odd] = process.argv.slice(1);
const text = async (u, o) => (await (await fetch(u, o)).text()).trim();
(async () => {
  console.log(await text(`http://origin.test:${plain}/seen`));
  console.log(await text(`https://origin.test:${tls}/seen`));
  console.log(await text(`https://odd.test:${odd}/echo`, {method: 'POST', body: 'from node'}));
  console.log((await fetch(`https://secret.test:${tls}/`)).headers.get('x-gondolin-denied'));
})();
"""

NODE_SOCKET = """
const s = new WebSocket(`wss://odd.test:${process.argv[1]}/socket`);
s.onopen = () => s.send('from node');
s.onmessage = e => { console.log(e.data); s.close(1000); };
s.onclose = e => console.log('closed', e.wasClean);
s.onerror = e => { console.log('error', e.message); process.exitCode = 1; };
"""


def setUpModule():  # noqa: N802 (unittest's name)
    global WORLD
    harness.setUpModule()
    unittest.addModuleCleanup(harness.tearDownModule)
    WORLD = origins.World()
    unittest.addModuleCleanup(WORLD.end)
    files = WORLD.directory / "files"
    (files / "large").write_bytes(LARGE)
    unpack_pip(WORLD.directory / "pip")
    make_index(files)
    make_repository(WORLD.directory / "repositories" / "project.git")


def unpack_pip(path):
    """The distribution's pip is a wheel; without its bytecode an emulated guest would compile for a minute."""
    wheels = sorted(WHEELS.glob("pip-*.whl"))
    if wheels:
        with zipfile.ZipFile(wheels[-1]) as z:
            z.extractall(path)
        subprocess.run(["/usr/bin/python3", "-m", "compileall", "-q", path], check=True)


def make_index(files):
    """A package index (PEP 503) with one wheel that has nothing but a name."""
    (files / "simple/little").mkdir(parents=True)
    name = "little-1.0-py3-none-any.whl"
    with zipfile.ZipFile(files / "simple/little" / name, "w") as z:
        z.writestr("little.py", "answer = 42\n")
        z.writestr("little-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: little\nVersion: 1.0\n")
        z.writestr("little-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        z.writestr("little-1.0.dist-info/RECORD", "")
    (files / "simple/little/index.html").write_text(f'<!DOCTYPE html><a href="{name}">{name}</a>\n')


def make_repository(path):
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}

    def git(*words, **how):
        return subprocess.run(["git", *words], check=True, capture_output=True, env=env, **how).stdout

    git("init", "-q", "--bare", "-b", "main", str(path))
    git("-C", str(path), "config", "http.receivepack", "true")
    work = path.parent / "work"
    git("init", "-q", "-b", "main", str(work))
    (work / "large").write_bytes(LARGE[:1 << 20])
    (work / "file").write_text("first\n")
    git("add", ".", cwd=work)
    git("-c", "user.name=test", "-c", "user.email=test@origin.test", "commit", "-q", "-m", "first", cwd=work)
    git("push", "-q", str(path), "main", cwd=work)
    shutil.rmtree(work)


def node_says(flags, expression):
    """What this host's node makes of it, or None."""
    if not os.path.exists("/usr/bin/node"):
        return None
    r = subprocess.run(["/usr/bin/node", *flags, "-p", expression], capture_output=True, text=True, check=False)
    return r.stdout.strip() if r.returncode == 0 else None


class Clients(OneSandbox):
    @classmethod
    def setUpClass(cls):
        w = WORLD
        audit = os.environ.get("GONDOLIN_TEST_AUDIT", "")
        cls.box = Sandbox(f'''image = "mini"
vm {{ memory = "512M" }}
mount "/host" {{ host = "/"  mode = ro }}
mount "/world" {{ host = "{w.directory}"  mode = ro }}
network {{
	allow = {{"http://origin.test:{w.plain}", "https://origin.test:{w.tls}", "https://odd.test:{w.odd_port}"}}
	allow-internal = {{"*.test"}}
	hosts-file = "{w.directory}/hosts"
	ca-bundle = "{w.directory}/ca.pem"
	timeouts {{ handshake = 120 }} # git reads 140 certificates between its connection and its first byte
	secret TOKEN {{ hosts = {{"secret.test:{w.tls}"}}  env = "TOKEN" }}
}}
{audit}''', env=harness.environment(TOKEN=SECRET)).up()
        r = cls.box.exec("sh", "-c", PREPARE)
        assert r.code == 0, r
        cls.http, cls.https = f"http://origin.test:{w.plain}", f"https://origin.test:{w.tls}"
        cls.odd = f"https://odd.test:{w.odd_port}"

    def host(self, script, *arguments, code=0, **how):
        """A script of this host's shell and programs, in the guest; returns its output's lines."""
        r = self.box.exec("chroot", "/host", "/bin/sh", "-ec", "cd $(mktemp -d); export HOME=/tmp; " + script, "sh",
                          *map(str, arguments), **how)
        self.assertEqual(r.code, code, r)
        return r.out.decode(errors="replace").splitlines()

    def need(self, path):
        if shutil.which(path) is None:
            self.skipTest(f"this host has no {path}")

    # ---- What the guest finds ----

    def test_network(self):
        r = self.box.exec("sh", "-c", "ip addr show eth0; ip route; ip -6 route; cat /etc/resolv.conf /etc/hosts; "
                          "env; cat /run/gondolin/ca.crt; wc -l </run/gondolin/ca-certificates.crt")
        out = r.out.decode()
        for part in ("inet 192.168.127.3/24", "inet6 fd67:6f6e:646f:1::3/64", "default via 192.168.127.1",
                     "default via fd67:6f6e:646f:1::1", "nameserver 192.168.127.1", "127.0.0.1\tlocalhost",
                     "gondolin", "SSL_CERT_FILE=/run/gondolin/ca-certificates.crt", "CURL_CA_BUNDLE=",
                     "REQUESTS_CA_BUNDLE=", "NODE_EXTRA_CA_CERTS=/run/gondolin/ca.crt", "GIT_SSL_CAINFO=",
                     "TOKEN=GONDOLIN_SECRET_", "BEGIN CERTIFICATE"):
            self.assertIn(part, out)
        self.assertNotIn("tentative", out)
        self.assertNotIn(SECRET, out)
        self.assertEqual(self.box.exec("sh", "-c", "echo $TOKEN", flags=("--env", "TOKEN=mine")).out, b"mine\n")

    def test_busybox(self):
        """What the small image has: wget with and without TLS, nslookup, nc, udhcpc."""
        r = self.box.exec("sh", "-ec", f"""
wget -q -O - {self.http}/seen; wget -q -O - {self.https}/seen
nslookup origin.test >/tmp/names; grep -c '^Address.*198\\.1[89]\\.' /tmp/names; grep -c '^Address.*fd' /tmp/names
printf 'GET /seen HTTP/1.0\\r\\nHost: origin.test:{WORLD.plain}\\r\\n\\r\\n' | nc origin.test {WORLD.plain} | tail -n 1
udhcpc -i eth0 -n -q -f 2>&1 | grep -c 'lease of 192.168.127.3 obtained'
ip -4 addr show eth0 | grep -c 192.168.127.3/24; cat /sys/class/net/eth0/mtu; cat /etc/resolv.conf
wget -q -O - {self.http}/seen""")
        seen = f"http origin.test HTTP/1.1 GET"
        self.assertEqual((r.code, r.out.decode().splitlines()),
                         (0, [seen, "https origin.test HTTP/2.0 GET", "1", "1", seen, "1", "1", "65520",
                              "nameserver 192.168.127.1", seen]), r)

    # ---- Clients ----

    def test_curl(self):
        """Each version of HTTP, each family."""
        rows = [(family, flag, url) for family in ("-4", "-6") for flag, url in (
            ("--http1.1", self.http), ("--http2-prior-knowledge", self.http), ("--http1.1", self.https),
            ("--http2", self.https))]
        script = "".join(f"curl -sS {a} {b} -w '%{{http_version}} %{{remote_ip}} %{{ssl_verify_result}}\\n' {url}/seen\n"
                         for a, b, url in rows)
        lines = self.host(script)
        for (family, flag, url), seen, spoken in zip(rows, lines[::2], lines[1::2]):
            with self.subTest(family=family, flag=flag, url=url):
                self.assertEqual(seen.split()[:2], [url.split(":")[0], "origin.test"])
                version, address, verified = spoken.split()
                self.assertEqual((version, verified), ("1.1" if flag == "--http1.1" else "2", "0"))
                self.assertEqual(":" in address, family == "-6")

    def test_download_upload_and_resume(self):
        digest = hashlib.sha256(LARGE).hexdigest()
        lines = self.host(f"""
for v in "--http1.1 -4" "--http2 -6"; do curl -sS $v -o got {self.https}/large; sha256sum <got; done
curl -sS -6 -o plain {self.http}/large; sha256sum <plain
for v in "--http1.1 -4" "--http2 -6" "-6 -H Expect:100-continue" "-4 --http1.1 -H Transfer-Encoding:chunked"; do
  i=$((i + 1)); curl -sS $v -T got -o /dev/null -w '%{{http_code}}\\n' {self.https}/put/$i; done
for f in -4 -6; do head -c 1000000 got >part; curl -sS $f -C - -o part -w '%{{http_code}} %{{size_download}}\\n' {self.https}/large
sha256sum <part; done; curl -sS -r 5-9 {self.https}/large | od -An -tx1""")
        self.assertEqual([line.split()[0] for line in lines[:3]], [digest] * 3)
        self.assertEqual(lines[3:7], ["201"] * 4)
        for i in range(1, 5):
            self.assertEqual((WORLD.directory / f"files/put/{i}").read_bytes(), LARGE, i)
        for resumed, part in (lines[7:9], lines[9:11]):
            self.assertEqual((resumed, part.split()[0]), (f"206 {len(LARGE) - 1000000}", digest))
        self.assertEqual(lines[11].strip(), LARGE[5:10].hex(" "))

    def test_trailers(self):
        """As gRPC needs them: after the body, with TE: trailers asked for."""
        lines = self.host(f"curl -sS -6 --http2 -H 'te: trailers' -d 12345 -D - {self.odd}/trailers; "
                          f"curl -sS -4 --http1.1 -H 'te: trailers' -D - {self.odd}/trailers")
        first, second = "\n".join(lines).split("HTTP/")[1:]
        for text, trailer in ((first, "of 5"), (second, "of 0")):
            head, _, rest = text.partition("\n\n")
            self.assertNotIn("checksum: ", head)
            self.assertEqual(sorted(line for line in rest.splitlines() if line), ["body", f"x-checksum: {trailer}"])

    def test_git(self):
        self.need("git")
        lines = self.host(f"""
export GIT_CONFIG_GLOBAL=/dev/null GIT_TERMINAL_PROMPT=0
git clone -q --ipv4 {self.odd}/git/project.git; cd project; cat file; sha256sum <large
echo second >>file; head -c 2000000 /dev/urandom >more; git add .
git -c user.name=guest -c user.email=guest@guest.test commit -q -m second; git push -q --ipv6 origin main
git push -q --ipv4 origin main:again; git fetch -q --ipv6 origin again
git rev-parse HEAD; sha256sum <more""")
        self.assertEqual(lines[:2], ["first", hashlib.sha256(LARGE[:1 << 20]).hexdigest() + "  -"])
        path = WORLD.directory / "repositories" / "project.git"
        head = subprocess.run(["git", "-c", "safe.directory=*", "-C", path, "rev-parse", "main"], check=True,
                              capture_output=True).stdout
        more = subprocess.run(["git", "-c", "safe.directory=*", "-C", path, "show", "main:more"], check=True,
                              capture_output=True).stdout
        self.assertEqual((head.decode().strip(), hashlib.sha256(more).hexdigest() + "  -"), tuple(lines[2:4]))

    def test_python(self):
        """urllib, requests and pip, as the distribution has them."""
        if not (WORLD.directory / "pip").exists():
            self.skipTest("this host has no wheel of pip")
        lines = self.host(f"""
/usr/bin/python3 -B -c "
import sys, urllib.request
print(urllib.request.urlopen('{self.https}/seen').read().decode().strip())
sys.path.insert(0, '/mnt/pip')
from pip._vendor import requests
from pip._vendor.urllib3.util import connection
import socket
for family in socket.AF_INET, socket.AF_INET6:
    connection.allowed_gai_family = lambda: family
    s = requests.Session()
    print(s.get('{self.https}/seen').text.strip(), s.post('{self.odd}/echo', data=b'posted').text)
r = s.get('https://secret.test:{WORLD.tls}/x')
print(r.status_code, r.headers['x-gondolin-denied'], flush=True)
from pip._internal.cli.main import main
sys.exit(main('--disable-pip-version-check --no-cache-dir download -q -d got --no-deps '
              '--index-url {self.https}/simple little'.split()))
"
ls got""")
        self.assertEqual(lines, ["https origin.test HTTP/2.0 GET", *["https origin.test HTTP/2.0 GET posted"] * 2,
                                 "403 not-allowed", "little-1.0-py3-none-any.whl"])

    def test_websocket(self):
        lines = self.host('for f in 4 6; do /usr/bin/python3 -B -c "$1" odd.test "$2" $f; done', SOCKET, WORLD.odd_port)
        self.assertEqual(lines, ["HTTP/1.1 101 Switching Protocols", "HELLO", "X" * 300, r"b'\x88\x00'"] * 2)

    def test_node(self):
        if not os.path.exists("/usr/bin/node"):
            self.skipTest("this host has no /usr/bin/node")
        lines = self.host('for o in ipv4first verbatim; do '
                          '/usr/bin/node --dns-result-order=$o -e "$1" -- "$2" "$3" "$4"; done', NODE, WORLD.plain, WORLD.tls,
                          WORLD.odd_port)
        self.assertEqual(lines, ["http origin.test HTTP/1.1 GET", "https origin.test HTTP/2.0 GET", "from node",
                                 "not-allowed"] * 2)

    def test_node_websocket(self):
        flags = [] if node_says([], "typeof WebSocket") == "function" else ["--experimental-websocket"]
        if node_says(flags, "typeof WebSocket") != "function":
            self.skipTest("this host has no /usr/bin/node with a WebSocket")
        lines = self.host('for o in ipv4first verbatim; do '
                          '/usr/bin/node $3 --dns-result-order=$o -e "$1" -- "$2" 2>/dev/null; done', NODE_SOCKET, WORLD.odd_port,
                          *flags)
        self.assertEqual(lines, ["FROM NODE", "closed true"] * 2)

    def test_wget(self):
        self.need("wget")
        lines = self.host(f"""
for f in -4 -6; do wget -q $f --ca-certificate=$SSL_CERT_FILE -O got {self.https}/large; sha256sum <got; done
head -c 3000000 got >large; wget -q -c --ca-certificate=$SSL_CERT_FILE {self.https}/large; sha256sum <large""")
        self.assertEqual([line.split()[0] for line in lines], [hashlib.sha256(LARGE).hexdigest()] * 3)

    def test_openssl(self):
        lines = self.host(f"""
for v in "tls1_2 -4" "tls1_3 -6"; do echo Q | openssl s_client -brief -$v -alpn h2,http/1.1 -verify_return_error \
  -verify_hostname origin.test -servername origin.test -connect origin.test:{WORLD.tls} 2>&1; done
echo Q | openssl s_client -tls1_1 -cipher ALL:@SECLEVEL=0 -connect origin.test:{WORLD.tls} >/dev/null 2>&1 || echo old""")
        text = "\n".join(lines)
        self.assertEqual(text.count("Verification: OK"), 2, text)
        self.assertEqual(text.count("Verified peername: origin.test"), 2, text)
        self.assertIn("Protocol version: TLSv1.2", text)
        self.assertIn("Protocol version: TLSv1.3", text)
        self.assertEqual(lines[-1], "old")

    # ---- What is odd, and what is refused ----

    def test_origin_that_misbehaves(self):
        """A body that breaks off is seen to; what is no answer is a 502 that says so."""
        r = self.box.exec("chroot", "/host", "curl", "-sSf", "-o", "/dev/null", f"{self.odd}/short")
        self.assertNotEqual(r.code, 0)
        for path in ("/garbage", "/lengths"):
            lines = self.host(f"curl -sS -o /dev/null -w '%{{http_code}}' {self.odd}{path}")
            self.assertEqual(lines, ["502"], path)
        self.assertEqual(self.host(f"curl -sS -d still {self.odd}/echo"), ["still"])

    def test_refused(self):
        before = len(origins.Odd.seen)
        for name, script in (
                ("a name", f"curl -sS https://other.test:{WORLD.tls}/ 2>&1 || echo $?"),
                ("a port", f"curl -sS https://odd.test:{WORLD.odd_port + 1}/ 2>&1 || echo $?")):
            with self.subTest(name):
                self.assertIn(self.host(script)[-1], ("6", "7"))
        lines = self.host(f"curl -sS -D - https://secret.test:{WORLD.tls}/x; "
                          f"curl -sS -o /dev/null -w '%{{http_code}}\\n' -H 'Host: other.test' {self.https}/seen; "
                          f"curl -sS -L -o /dev/null -w '\\n%{{http_code}}\\n' {self.https}/redirect 2>&1 || true")
        self.assertIn("403", lines[0])
        self.assertIn("x-gondolin-denied: not-allowed", lines)
        self.assertIn("403", lines)
        self.assertEqual(lines[-1], "302")
        self.assertEqual(len(origins.Odd.seen), before)


if __name__ == "__main__":
    unittest.main()
