#!/usr/bin/env bash
# Checks everything that this repository claims, in the order of STEPS. CI runs exactly this.
#
#   scripts/check.sh                 all steps; what needs a missing tool or right is skipped, loudly
#   scripts/check.sh --install       the same, but missing tools are installed first (Debian, root)
#   scripts/check.sh lint tests      these steps only
#
# All steps run, whatever fails before them; the last line counts them, and the exit code is zero
# only if none failed. With CI=true missing tools are installed, and what is missing then, fails.
# Logs and the tools that cargo builds lie under target/check.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
# shellcheck source=scripts/check/run.sh
source scripts/check/run.sh
# shellcheck source=scripts/check/tools.sh
source scripts/check/tools.sh
# shellcheck source=scripts/check/clients.sh
source scripts/check/clients.sh
# shellcheck source=scripts/check/leaks.sh
source scripts/check/leaks.sh

STEPS=(
  "format      rustfmt has nothing to change"
  "shell       shellcheck finds nothing in the scripts"
  "tests       unit tests, laws and dialogues of every crate; what fuzzing found, and mutations of it"
  "rules       dependency direction and the habits of this code base"
  "release     the binary and the simulator build as they are shipped"
  "scenarios   the simulator finds no broken promise in any scenario"
  "meta        every scenario has the same trace in two processes, and in debug and release"
  "explore     made-up scenarios find no broken promise"
  "mutants     made-up scenarios notice each guard that is taken out of the core"
  "e2e         real agents keep the promises on real sockets"
  "fetch       the clients that are not ours are there"
  "clients     they work with an agent as with Consul, unchanged"
  "partition   a real network is split under real agents, in three shapes, and heals"
  "drill       real agents keep the promises under kills, pauses, splits, loss and wrong clocks"
  "tour        the README's commands answer as the README says"
  "lint        clippy finds nothing, in tests and in the simulator's mutants either"
  "docs        the documentation builds, and its links lead somewhere"
  "wasm        the core builds where there is no operating system"
  "licences    licences, banned crates and sources are as .deny.toml says"
  "advisories  no dependency has a known weakness that .deny.toml does not explain"
  "leaks       no process, namespace, port or file is left behind"
)

# These only compile and fetch. Begun together with the unit tests, at the lowest priority, they take
# what the other steps leave of the machine: tests and stories wait, and builds end on one core. Their
# target directory is another one, since cargo locks it.
BESIDE=(fetch lint docs wasm licences advisories)
BESIDE_FROM=tests
# This waits more than it works, as do those that it runs beside.
WAITING=(drill)
WAITING_FROM=partition
BESIDE_TARGET=${CARGO_TARGET_DIR:-target}/check/beside

step_format() {
  cargo fmt --all --check -- -l # The names will do; cargo fmt --all does the rest.
}

step_lint() {
  cargo clippy --target-dir "$BESIDE_TARGET" --locked --workspace --all-targets --features tidings-sim/mutants -- -D warnings
}

step_shell() {
  need shellcheck shellcheck
  shellcheck --external-sources .ci/run scripts/*.sh scripts/*/*.sh
}

step_docs() {
  RUSTDOCFLAGS="-D warnings" cargo doc --target-dir "$BESIDE_TARGET" --locked --workspace \
    --no-deps --document-private-items
}

step_licences() {
  need_cargo_deny
  "$CARGO_DENY" --config .deny.toml check licenses bans sources
}

step_advisories() {
  need_cargo_deny
  timeout 120 "$CARGO_DENY" --config .deny.toml fetch db ||
    unreachable "the advisory database, https://github.com/RustSec/advisory-db"
  "$CARGO_DENY" --config .deny.toml check --disable-fetch advisories
}

step_wasm() {
  need_wasm_target
  cargo check --target-dir "$BESIDE_TARGET" --locked --target wasm32-unknown-unknown -p tidings-node
}

step_tests() {
  local found
  mapfile -t found < <(integration_tests crates/*/tests simulations/tests tests/targets/tests)
  cargo_test --lib --bins "${found[@]/#/--test=}"
  cargo_test --doc
}

# In tests/ these look at the source, all others at running agents.
RULES=(dependency_direction tidy)

step_rules() {
  # A name that two packages have would run a story among the unit tests, before there is a binary.
  local twice
  twice=$(integration_tests crates/*/tests simulations/tests tests/targets/tests tests/tests | sort | uniq -d)
  [[ -z $twice ]] || { echo "two integration tests are called $twice"; return 1; }
  cargo_test "${RULES[@]/#/--test=}"
}

step_release() {
  build_release
}

# Both binaries in one build: two builds would compile what they share with different features.
build_release() {
  cargo build --locked --release -p tidings -p tidings-sim
}

step_scenarios() {
  "$TARGET/release/tidings-sim" run
}

step_meta() {
  cargo build --locked --workspace --features tidings-sim/mutants --bin tidings-sim
  # Another process and another build in one comparison.
  "$TARGET/debug/tidings-sim" meta --against "$TARGET/release/tidings-sim"
}

# The same seeds in each check: one in three hundred still finds what is known and not mended yet, and
# scripts/explore-nightly.sh looks for more of them.
step_explore() {
  "$TARGET/release/tidings-sim" explore --seeds 500..1000 --out "$TARGET/check/failures"
}

step_mutants() {
  cargo build --locked --workspace --features tidings-sim/mutants --bin tidings-sim
  "$TARGET/debug/tidings-sim" mutants
}

# These are about clients that are not ours.
FOREIGN=(clients contracts)

# Stories that use the machine up: each runs alone.
LOUD=(durability damage packets)

# A story that lacks a tool or right says so and is skipped by itself; in CI it fails.
step_e2e() {
  if may_install; then
    need_namespaces
  fi
  build_release
  local found
  mapfile -t found < <(integration_tests tests/tests | grep -vxF "$(printf '%s\n' "${RULES[@]}" "${FOREIGN[@]}")")
  [[ ${#found[@]} -gt 0 ]]
  cargo_test --no-run "${found[@]/#/--test=}"
  export TIDINGS_BIN=$TARGET/release/tidings
  local name quiet=()
  for name in "${found[@]}"; do
    [[ " ${LOUD[*]} " == *" $name "* ]] || quiet+=("$name")
  done
  local code=0
  cargo_test "${LOUD[@]/#/--test=}" || code=1
  # The others wait more than they work.
  export -f cargo_test
  printf '%s\n' "${quiet[@]}" | xargs -P 3 -I '{}' bash -c 'cargo_test --test={}' || code=1
  return "$code"
}

step_fetch() {
  if may_install; then
    need python3 python3
    need npm npm
  fi
  fetch_clients
}

# A client that is not there is told of; in CI it fails.
step_clients() {
  if may_install; then
    need curl curl
    need dig dnsutils
    need_namespaces
  fi
  fetch_clients
  build_release
  TIDINGS_BIN=$TARGET/release/tidings cargo_test "${FOREIGN[@]/#/--test=}"
}

step_partition() {
  need curl curl
  need_namespaces
  build_release
  partition --agents 3 --seconds 20
  partition --agents 2 --seconds 2
  partition --shape blackout --seconds 2
}

partition() {
  TIDINGS_BIN=$TARGET/release/tidings scripts/partition.sh "$@" |
    sed -E "s/^ +((noticed by all|all agree) after .*)/measured: \1, $*/"
}

step_drill() {
  need_namespaces
  need faketime faketime
  build_release
  TIDINGS_BIN=$TARGET/release/tidings scripts/drill.sh 45 |
    sed -E "s/^ +((all agents agree|an agent that is killed) .*)/measured: drill: \1/"
}

step_tour() {
  need curl curl
  need dig dnsutils
  need_namespaces
  build_release
  PATH=$TARGET/release:$PATH scripts/tour.sh
}

# Always the same packages and features, so that nothing is compiled twice.
cargo_test() {
  cargo test --locked --workspace --features tidings-sim/mutants --no-fail-fast "$@"
}

# The names of the integration tests in these directories.
integration_tests() {
  find "$@" -maxdepth 1 -name '*.rs' -printf '%f\n' | sed 's/\.rs$//'
  find "$@" -mindepth 2 -maxdepth 2 -name main.rs -printf '%h\n' | sed 's,.*/,,'
}

main "$@"
