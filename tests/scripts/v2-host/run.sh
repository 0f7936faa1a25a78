#!/usr/bin/env bash
# Boots a host whose cgroups are v2 alone, a small virtual machine with Debian's kernel and without KVM, and tries the
# product there: limits, out of memory, devices, names, a published port, adoption. Needs `cargo build` before; as root.
# Usage: tests/scripts/v2-host/run.sh [FOLDER OF THE BINARIES]
set -euo pipefail
cd "$(dirname "$0")"
bin=$(readlink -f "${1:-../../../target/debug}")
missing=()
for pair in qemu-system-x86_64:qemu-system-x86 cpio:cpio depmod:kmod; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
dpkg-query -s busybox-static >/dev/null 2>&1 || missing+=(busybox-static)
if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
here=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The kernel's package is taken apart, not installed.
cd "$work"
kernel=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-/ { print $2; exit }')
[ -n "$kernel" ] || { apt-get update -qq; kernel=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-/ { print $2; exit }'); }
apt-get download -qq "$kernel" 2>/dev/null
dpkg-deb -x linux-image*.deb kernel
version=${kernel#linux-image-}
root=$work/root
mkdir -p "$root"/{bin,lib/modules,lib64,shoal}
cp -r "kernel/lib/modules/$version" "$root/lib/modules/"
(cd "$root/lib/modules/$version/kernel" && rm -rf drivers/gpu drivers/scsi drivers/nvme drivers/infiniband sound fs/xfs fs/btrfs)
PATH=$PATH:/usr/sbin:/sbin depmod -b "$root" "$version"
cp /bin/busybox "$root/bin/"
cp "$bin"/{shoald,shoal,shoal-runtime} "$root/shoal/"
strip "$root"/shoal/*
ldd "$bin/shoald" "$bin/shoal" "$bin/shoal-runtime" | grep -o '/[^ ]*' | grep '^/lib' | sort -u | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done
cp "$here/init" "$here/try" "$root/"
chmod +x "$root/init" "$root/try"
"$here/archive.sh" "$root/image.tar"
(cd "$root" && find . | cpio --quiet -o -H newc | gzip -1) >initrd
timeout 400 qemu-system-x86_64 -m 3072 -smp 2 -nographic -no-reboot -kernel kernel/boot/vmlinuz-* -initrd initrd \
    -append 'console=ttyS0 quiet panic=-1' </dev/null | tr -d '\r' | tee "$work/said"
grep -q '^PASSED$' "$work/said"
