# shellcheck shell=bash
# What steps need beyond cargo: found, installed where that is wanted, or named as missing.

readonly CARGO_DENY_VERSION=0.20.2

# need COMMAND DEBIAN-PACKAGE
need() {
  command -v "$1" >/dev/null && return
  may_install && install_package "$2"
  command -v "$1" >/dev/null || missing "the command $1; apt-get install $2 brings it"
}

# Network namespaces with links between them: as root, or in a user namespace of one's own.
need_namespaces() {
  need ip iproute2
  need nft nftables
  need ss iproute2
  need ps procps
  unshare --net --mount true 2>/dev/null || unshare -Urnm true 2>/dev/null ||
    missing "the right to make network namespaces; root has it, or sysctl kernel.unprivileged_userns_clone=1"
}

# Sets CARGO_DENY. It is a checker that runs for seconds, so it is built for speed of building.
need_cargo_deny() {
  local tools=${TARGET:?}/check/tools
  CARGO_DENY=$(command -v cargo-deny || true)
  if [[ -z $CARGO_DENY ]]; then
    CARGO_DENY=$tools/bin/cargo-deny
    [[ -x $CARGO_DENY ]] || ! may_install || CARGO_TARGET_DIR=$tools/build \
      CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off \
      CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG=0 \
      cargo install --locked --root "$tools" "cargo-deny@$CARGO_DENY_VERSION"
    rm -rf "$tools/build"
  fi
  [[ -x $CARGO_DENY ]] || missing "cargo-deny; cargo install --locked cargo-deny brings it"
}

need_wasm_target() {
  local target=wasm32-unknown-unknown libraries
  libraries=$(rustc --print sysroot)/lib/rustlib/$target
  [[ -d $libraries ]] && return
  command -v rustup >/dev/null || missing "the Rust target $target"
  may_install || missing "the Rust target $target; rustup target add $target brings it"
  timeout 120 rustup target add "$target" || unreachable "rustup's server, for the target $target"
}

is_ci() {
  [[ ${CI:-} == true ]]
}

may_install() {
  is_ci || [[ -n ${TIDINGS_CHECK_INSTALL:-} ]]
}

install_package() {
  [[ $(id -u) -eq 0 ]] || return 0
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y -q --no-install-recommends "$1" ||
    { apt-get update -q && apt-get install -y -q --no-install-recommends "$1"; } || return 0
}

# Both end the step; its last line says why.
missing() {
  echo "missing: $1"
  exit "$MISSING"
}

unreachable() {
  echo "NOT CHECKED, out of reach from here: $1"
  exit "$UNREACHABLE"
}
