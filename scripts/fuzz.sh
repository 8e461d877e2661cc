#!/usr/bin/env bash
# Fuzzes every parser that meets bytes from outside, and reports executions and coverage.
#
#   scripts/fuzz.sh                  20 minutes for each target
#   scripts/fuzz.sh 1                one minute for each
#   scripts/fuzz.sh 5 dns bodies     five minutes for each of these
#
# Needs a nightly toolchain and cargo-fuzz. What is found new lies in tests/fuzz/found, what breaks a
# promise in tests/fuzz/artifacts; the exit code is zero only if nothing does. The corpora that are
# kept stay as they are: copy what is worth keeping, small, by hand.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../tests/fuzz" || exit 1

minutes=${1:-20}
shift || true
targets=("$@")
if [[ ${#targets[@]} -eq 0 ]]; then
  targets=(frames sealed store identity dns queries bodies definitions filter)
fi
command -v cargo-fuzz >/dev/null || {
  echo "cargo-fuzz is missing: cargo install cargo-fuzz --locked" >&2
  exit 1
}

failed=0
for target in "${targets[@]}"; do
  mkdir -p "found/$target"
  log=found/$target.log
  if cargo +nightly fuzz run --fuzz-dir . --sanitizer none "$target" "found/$target" "corpus/$target" -- \
    -max_total_time=$((minutes * 60)) -max_len=8192 -timeout=10 -rss_limit_mb=2048 \
    -print_final_stats=1 >"$log" 2>&1; then
    result=clean
  else
    result="FAILED, see tests/fuzz/$log and tests/fuzz/artifacts/$target"
    failed=1
  fi
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  coverage=$(grep -oE 'cov: [0-9]+ ft: [0-9]+' "$log" | tail -n 1 || true)
  echo "measured: fuzz $target minutes=$minutes executions=${executions:-0} ${coverage:-no coverage} $result"
done
exit "$failed"
