#!/usr/bin/env bash
# Makes scenarios up for a long time, from seeds that the commit gives, and makes what fails small.
#
#   scripts/explore-nightly.sh                one hour, at most 100,000 seeds
#   scripts/explore-nightly.sh 8h 1000000     so long, at most so many
#
# Failures are kept as files under target/nightly, each beside its small form, which belongs into
# simulations/regressions once it is understood. The exit code is that of the search.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

budget=${1:-1h}
seeds=${2:-100000}
commit=$(git rev-parse HEAD 2>/dev/null || date +%F)
out=${CARGO_TARGET_DIR:-target}/nightly/${commit:0:12}
sim=${CARGO_TARGET_DIR:-target}/release/tidings-sim

cargo build --locked --release -p tidings-sim
mkdir -p "$out/small"
code=0
"$sim" explore --seeds "0..$seeds" --seeds-from "$commit" --profile swarm \
  --budget "$budget" --out "$out" || code=$?

for file in "$out"/*.toml; do
  [[ -e $file ]] || continue
  "$sim" shrink --minutes 5 --out "$out/small/$(basename "$file")" "$file" || true
done
exit "$code"
