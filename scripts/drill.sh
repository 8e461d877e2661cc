#!/usr/bin/env bash
# Holds five real agents to the simulator's promises while a plan of faults is carried out on them:
# kills, with the disk kept or lost, pauses, splits, one-way cuts, packet loss, wrong clocks. Clients
# on each host register, deregister, report and ask meanwhile, over HTTP and DNS.
#
#   scripts/drill.sh [--install] [SECONDS [SEED [SABOTAGE]]]
#
# SECONDS   how long faults go on (300); the end takes some ten seconds more
# SEED      tells the plan of faults, and what clients do; else the commit tells it
# SABOTAGE  something is done that the judge is not told of, and must notice: resurrect, rewind,
#           invent, freeze, forget, cut, undead; or all of them, one drill after the other
# --install brings libfaketime if it is missing (Debian, root); without it clocks are not shifted
#
# Ends with 0 if every promise was kept, 1 if one was broken, and 2 if that cannot be said. The agents'
# logs are then kept in target/drill. Needs unshare, ip, nft, and root or unprivileged user namespaces;
# and a built binary (cargo build --release, or TIDINGS_BIN). Everything happens in namespaces that end
# with it.
set -euo pipefail
[[ -z ${TIDINGS_BIN-} ]] || TIDINGS_BIN=$(realpath "$TIDINGS_BIN")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/check/tools.sh
source scripts/check/tools.sh

readonly SABOTAGES="resurrect rewind invent freeze forget cut undead"

main() {
  if [[ ${1-} == --install ]]; then
    export TIDINGS_CHECK_INSTALL=1
    shift
  fi
  local seconds=${1:-300} seed=${2:-$(commit)} sabotage=${3-}
  for tool in unshare ip nft; do
    command -v "$tool" >/dev/null || undecided "$tool is not installed"
  done
  command -v faketime >/dev/null || ! may_install || install_package faketime
  local target=${CARGO_TARGET_DIR:-$PWD/target}
  find_binary "$target"
  # As the check builds everything, so that nothing is compiled twice.
  cargo build --quiet --locked --workspace --features tidings-sim/mutants --bin drill ||
    undecided "the drill does not build"
  export TIDINGS_DRILL_LOGS=$target/drill
  if [[ $sabotage != all ]]; then
    exec "$target/debug/drill" "$seconds" "$seed" ${sabotage:+"$sabotage"}
  fi
  local code=0
  for sabotage in $SABOTAGES; do
    "$target/debug/drill" "$seconds" "$seed" "$sabotage" || code=1
  done
  exit "$code"
}

find_binary() {
  for TIDINGS_BIN in "${TIDINGS_BIN-}" "$1/release/tidings" "$1/debug/tidings"; do
    if [[ -x $TIDINGS_BIN ]]; then
      export TIDINGS_BIN
      return
    fi
  done
  undecided "there is no binary: cargo build --release"
}

# The first digits of the commit's name, as a number.
commit() {
  printf '%d\n' "0x$(git rev-parse --short=12 HEAD 2>/dev/null || echo 1)"
}

undecided() {
  echo "UNDECIDED: $1"
  exit 2
}

main "$@"
