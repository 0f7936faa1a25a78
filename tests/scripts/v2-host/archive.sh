#!/usr/bin/env bash
# Writes an OCI archive of Debian's static busybox, tagged shell:1. Usage: archive.sh FILE
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/root/bin" "$work/root/tmp" "$work/oci/blobs/sha256"
cp /bin/busybox "$work/root/bin/"
for applet in $(/bin/busybox --list); do [ "$applet" = busybox ] || ln -s busybox "$work/root/bin/$applet"; done
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$work/root" -cf "$work/layer" .
# Stores a blob; prints its descriptor's size and digest.
blob() {
    local digest
    digest=$(sha256sum "$1" | cut -d' ' -f1)
    cp "$1" "$work/oci/blobs/sha256/$digest"
    echo "\"size\":$(stat -c %s "$1"),\"digest\":\"sha256:$digest\""
}
layer=$(blob "$work/layer")
cat >"$work/config" <<JSON
{"created":"1970-01-01T00:00:00Z","architecture":"amd64","os":"linux","config":{"Cmd":["/bin/sh"],"Env":["PATH=/bin"]},
 "rootfs":{"type":"layers","diff_ids":["sha256:$(sha256sum "$work/layer" | cut -d' ' -f1)"]}}
JSON
cat >"$work/manifest" <<JSON
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
 "config":{"mediaType":"application/vnd.oci.image.config.v1+json",$(blob "$work/config")},
 "layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar",$layer}]}
JSON
cat >"$work/oci/index.json" <<JSON
{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",$(blob "$work/manifest"),
 "annotations":{"io.containerd.image.name":"docker.io/library/shell:1","org.opencontainers.image.ref.name":"1"}}]}
JSON
echo '{"imageLayoutVersion":"1.0.0"}' >"$work/oci/oci-layout"
tar -C "$work/oci" -cf "$1" .
