#!/usr/bin/env bash
# Makes an image of one static program and pushes it to a registry, with nothing but tar, sha256sum and curl.
# Usage: image.sh PROGRAM REGISTRY NAME TAG
# A program called busybox becomes an image with a shell: all that it can do lies in /bin.
set -euo pipefail
program=$1 registry=$2 name=$3 tag=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

digest() { echo "sha256:$(sha256sum "$1" | cut -d' ' -f1)"; }

push_blob() {
    local file=$1 location
    location=$(curl -sS --noproxy '*' -f -X POST -D - -o /dev/null "http://$registry/v2/$name/blobs/uploads/" |
        tr -d '\r' | awk 'tolower($1) == "location:" { print $2 }')
    case $location in *\?*) location="$location&" ;; *) location="$location?" ;; esac
    curl -sS --noproxy '*' -f -o /dev/null -X PUT -H 'Content-Type: application/octet-stream' \
        --data-binary "@$file" "${location}digest=$(digest "$file")"
}

mkdir -p "$work/root/tmp"
if [ "$(basename "$program")" = busybox ]; then
    start='"Cmd":["/bin/sh"],"Env":["PATH=/bin","VERSION='$tag'"]'
    mkdir -p "$work/root/bin" "$work/root/etc"
    cp "$program" "$work/root/bin/busybox"
    for applet in $("$program" --list); do [ "$applet" = busybox ] || ln -s busybox "$work/root/bin/$applet"; done
    printf 'root:x:0:0:root:/:/bin/sh\nguest:x:1000:1000:guest:/tmp:/bin/sh\n' >"$work/root/etc/passwd"
    printf 'root:x:0:\nguest:x:1000:\n' >"$work/root/etc/group"
else
    start='"Entrypoint":["/program"],"Env":["PATH=/","VERSION='$tag'"],"ExposedPorts":{"80/tcp":{}}'
    cp "$program" "$work/root/program"
fi
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$work/root" -cf "$work/layer.tar" .
gzip -n -k "$work/layer.tar"
case $(uname -m) in x86_64) architecture=amd64 ;; aarch64) architecture=arm64 ;; *) architecture=$(uname -m) ;; esac
cat >"$work/config.json" <<JSON
{"created":"1970-01-01T00:00:00Z","architecture":"$architecture","os":"linux",
 "config":{$start},
 "rootfs":{"type":"layers","diff_ids":["$(digest "$work/layer.tar")"]},
 "history":[{"created":"1970-01-01T00:00:00Z","created_by":"deploy/demo/image.sh"}]}
JSON
cat >"$work/manifest.json" <<JSON
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
 "config":{"mediaType":"application/vnd.oci.image.config.v1+json",
           "size":$(stat -c %s "$work/config.json"),"digest":"$(digest "$work/config.json")"},
 "layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip",
            "size":$(stat -c %s "$work/layer.tar.gz"),"digest":"$(digest "$work/layer.tar.gz")"}]}
JSON
push_blob "$work/layer.tar.gz"
push_blob "$work/config.json"
curl -sS --noproxy '*' -f -o /dev/null -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' \
    --data-binary "@$work/manifest.json" "http://$registry/v2/$name/manifests/$tag"
