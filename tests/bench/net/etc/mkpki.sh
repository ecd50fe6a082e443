#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# origin CA + leaf (P-256), made once
set -e; cd "$(dirname "$0")"; mkdir -p pki; cd pki; [ -f origin.crt ] && exit 0
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -days 3650 -subj /CN=netbench-origin-ca -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout origin.key -out origin.csr -subj /CN=origin.test 2>/dev/null
printf 'subjectAltName=DNS:origin.test,DNS:*.origin.test,IP:10.77.0.1,IP:10.88.0.1\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n' > ext
openssl x509 -req -in origin.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -extfile ext -out origin.crt 2>/dev/null
