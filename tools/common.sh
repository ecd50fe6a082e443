# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What quickstart, check and their siblings share: steps that say what they do, and packages.

# What the programs need to be built, and to run.
build_packages=(gcc libc6-dev cmake ninja-build pkg-config protobuf-c-compiler libprotobuf-c-dev libseccomp-dev
	libcap-ng-dev libev-dev libconfuse-dev libssl-dev libcurl4-openssl-dev libc-ares-dev libnl-3-dev zlib1g-dev libbrotli-dev
	libnghttp2-dev)
run_packages=(qemu-system-x86 mmdebstrap e2fsprogs uidmap xz-utils zstd lz4 busybox-static ca-certificates)
# What the checks need beside these.
test_packages=(iproute2 clang libclang-rt-dev clang-format clang-tidy cppcheck libcunit1-dev mandoc strace python3 python3-venv git curl cpio
	rsync sqlite3 make openssl nginx-light wget)

steps=0
step()
{
	steps=$((steps + 1))
	printf '== %d. %s\n' "$steps" "$*"
}

die()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

as_root()
{
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "packages are missing and this user has no sudo; as root: apt-get install ${missing[*]}"
	fi
}

# install_packages NAME...: installs those that are missing, and says so.
install_packages()
{
	local name
	missing=()
	for name in "$@"; do
		# shellcheck disable=SC2016 # dpkg-query expands it
		[ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$name" 2>/dev/null)" = "ii " ] || missing+=("$name")
	done
	if [ "${#missing[@]}" -eq 0 ]; then
		echo "nothing is missing"
		return
	fi
	echo "missing: ${missing[*]}"
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update >/dev/null ||
		die "apt-get update failed: see its message above"
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "${missing[@]}" \
		>/dev/null || die "apt-get install failed: see its message above"
}

# build PRESET [CMAKE-OPTION...]: configures where needed and builds.
build()
{
	cmake --preset "$@" >"build-$1.log" 2>&1 && cmake --build --preset "$1" >>"build-$1.log" 2>&1 || {
		tail -n 40 "build-$1.log" >&2
		die "the build of preset $1 failed; the whole output is in build-$1.log"
	}
	rm -f "build-$1.log"
}
