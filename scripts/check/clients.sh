# shellcheck shell=bash
# Clients that are not ours, for the stories in tests/tests/clients: fetched in exact versions into a
# folder of their own, and installed nowhere. No daemon starts, and no root is needed.

readonly PY_CONSUL_VERSION=1.8.0 # That of tests/clients/py-consul/requirements.txt.

# Of Debian 12: Prometheus; Ansible and Patroni, with what they and python3-consul import.
readonly DEBIAN_PACKAGES=(
  prometheus ansible-core patroni python3-consul libpq5 python3-cdiff python3-certifi
  python3-cffi-backend python3-chardet python3-charset-normalizer python3-click python3-cryptography
  python3-dateutil python3-idna python3-jinja2 python3-markupsafe python3-packaging
  python3-pkg-resources python3-prettytable python3-psutil python3-psycopg2 python3-requests
  python3-resolvelib python3-six python3-urllib3 python3-wcwidth python3-yaml
)

# Fetches what is not there yet, or not as this repository now wants it. What cannot be had is left
# out: the story that lacks it says so, and fails in CI.
fetch_clients() {
  may_install || return 0
  CLIENTS=${TARGET:?}/check/clients # Where tests/src/programs.rs looks for them.
  mkdir -p "$CLIENTS"
  local kit
  for kit in py_consul node_consul debian ansible_collection; do
    is_fetched "$kit" || fetch "$kit"
  done
  fetch_rs_consul || echo "rs_consul cannot be built"
}

is_fetched() {
  local changed
  [[ -e $CLIENTS/$1.done ]] || return
  changed=$(find scripts/check/clients.sh tests/clients/*/requirements.txt \
    tests/clients/*/package-lock.json -newer "$CLIENTS/$1.done")
  [[ -z $changed ]]
}

# fetch KIT: in a temporary folder $work, with no half of it left where something failed.
fetch() {
  work=$(mktemp -d)
  if "fetch_$1"; then
    touch "$CLIENTS/$1.done"
  else
    echo "$1 cannot be fetched"
  fi
  rm -rf "$work"
}

# The client in a virtual environment; its tests, which only the source has.
fetch_py_consul() {
  local pip=("$CLIENTS/venv/bin/pip" --disable-pip-version-check -q)
  rm -rf "$CLIENTS/py-consul"
  python3 -m venv --clear "$CLIENTS/venv" &&
    "${pip[@]}" install -r tests/clients/py-consul/requirements.txt &&
    "${pip[@]}" download --no-deps --no-binary py-consul -d "$work" \
      "py-consul==$PY_CONSUL_VERSION" &&
    mkdir "$CLIENTS/py-consul" &&
    tar xf "$work"/*.tar.gz -C "$CLIENTS/py-consul" --strip-components=1
}

fetch_node_consul() {
  mkdir -p "$CLIENTS/node-consul" &&
    cp tests/clients/node-consul/package*.json "$CLIENTS/node-consul/" &&
    npm ci --prefix "$CLIENTS/node-consul" --no-audit --no-fund --ignore-scripts
}

# A program of its own, with the versions of its own lock file; cargo knows what has changed.
fetch_rs_consul() {
  cargo build --locked --manifest-path tests/clients/rs-consul/Cargo.toml \
    --target-dir "$CLIENTS/rs-consul"
}

fetch_debian() {
  rm -rf "$CLIENTS/debian"
  local file
  (cd "$work" && download "${DEBIAN_PACKAGES[@]}") || return
  for file in "$work"/*.deb; do
    dpkg-deb --extract "$file" "$CLIENTS/debian" || return
  done
}

# The package holds the collections of the whole world; this is the one with Consul's modules.
fetch_ansible_collection() {
  rm -rf "$CLIENTS/ansible"
  mkdir "$CLIENTS/ansible"
  (cd "$work" && download ansible) &&
    dpkg-deb --fsys-tarfile "$work"/*.deb |
    tar x -C "$CLIENTS/ansible" --strip-components=5 \
      ./usr/lib/python3/dist-packages/ansible_collections/community/general
}

download() {
  apt-get download -q "$@" || { apt-get update -q && apt-get download -q "$@"; }
}
