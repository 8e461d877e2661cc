# shellcheck shell=bash
# Runs the steps of scripts/check.sh: each in a process of its own with a time limit, and counted.

# A step ends with one of these when it could not be judged; every other code but 0 is a failure.
readonly MISSING=77     # a tool or right that can be had: fails in CI
readonly UNREACHABLE=78 # a server that this machine may not reach: a notice, in CI too

readonly STEP_LIMIT=25m # of one step: a hang must not look like a slow machine
readonly LOG_LINES=300  # of a failed step's log that are shown

# main [--install] [STEP...]
main() {
  if [[ ${1:-} == --one-step ]]; then
    one_step "$2"
    return
  fi
  if [[ ${1:-} == --install ]]; then
    export TIDINGS_CHECK_INSTALL=1
    shift
  fi
  local name entry
  for name in "$@"; do
    declare -F "step_$name" >/dev/null || usage "$name"
  done
  prepare
  passed=0 failed=0 skipped=0
  for entry in "${STEPS[@]}"; do
    read -r name about <<<"$entry"
    if [[ $# -eq 0 || " $* " == *" $name "* ]]; then
      judge_step
    fi
  done
  tidy_up
  echo "$passed passed, $failed failed, $skipped skipped"
  [[ $failed -eq 0 ]]
}

usage() {
  echo "There is no step '$1'. Steps:" >&2
  printf '  %s\n' "${STEPS[@]}" >&2
  exit 2
}

# Where steps put things, and how they know each other again afterwards.
prepare() {
  export TARGET=${CARGO_TARGET_DIR:-$PWD/target}
  export LOGS=$TARGET/check/logs
  mkdir -p "$LOGS"
  # A temporary folder of this run alone: what is left in it is a leak.
  TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/tidings-check.XXXXXX")
  export TMPDIR
  # Every process that this run starts carries this mark; one that outlives it is a leak.
  export TIDINGS_CHECK_MARK=$$.$RANDOM$RANDOM
  export GIT_TERMINAL_PROMPT=0 CARGO_TERM_COLOR=never
  is_ci && export CARGO_INCREMENTAL=0 # Nothing is compiled twice there.
  snapshot >"$TARGET/check/before"
}

tidy_up() {
  rm -rf "$TMPDIR"
}

is_ci() {
  [[ ${CI:-} == true ]]
}

# Runs the step $name, says how it went and how long it took.
judge_step() {
  local log=$LOGS/$name.log begin=$EPOCHREALTIME code=0 took
  timeout --kill-after=10 "$STEP_LIMIT" "$BASH" "$0" --one-step "$name" \
    </dev/null >"$log" 2>&1 || code=$?
  took=$(awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { printf "%6.1f s", b - a }')
  if [[ $code -eq 0 ]]; then
    passed=$((passed + 1))
    printf 'ok    %s  %-11s %s\n' "$took" "$name" "$about"
    skipped=$((skipped + $(grep -c '^SKIPPED: ' "$log"))) # Parts of a step count too.
    grep -E '^(measured|SKIPPED): ' "$log" | sed 's/^/                       /'
  elif [[ $code -eq $UNREACHABLE ]] || { [[ $code -eq $MISSING ]] && ! is_ci; }; then
    skipped=$((skipped + 1))
    printf 'SKIP  %s  %-11s %s\n' "$took" "$name" "$(tail -n 1 "$log")"
  else
    failed=$((failed + 1))
    [[ $code -eq 124 ]] && echo "the step took longer than $STEP_LIMIT" >>"$log"
    printf 'FAIL  %s  %-11s not so: %s\n' "$took" "$name" "$about"
    echo "      the last $LOG_LINES lines of $log, without cargo's progress:"
    grep -vE '^ *(Blocking|Checking|Compiling|Documenting|Download(ed|ing)|Fresh) ' "$log" |
      tail -n "$LOG_LINES" | sed 's/^/      | /'
  fi
}

# one_step NAME: the step itself; stops at its first failing command.
one_step() {
  set -e
  "step_$1"
}
