# shellcheck shell=bash
# Runs the steps of scripts/check.sh: each in a process of its own with a time limit, and counted.

# A step ends with one of these when it could not be judged; every other code but 0 is a failure.
readonly MISSING=77     # a tool or right that can be had: fails in CI
readonly UNREACHABLE=78 # a server that this machine may not reach: a notice, in CI too

readonly STEP_LIMIT=40m # of one step, be it at the lowest priority: a hang must not look like a slow machine
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
    wanted "$name" "$@" || continue
    [[ $name != "$BESIDE_FROM" ]] || begin_beside 19 "${BESIDE[*]}" "$@"
    [[ $name != "$WAITING_FROM" ]] || begin_beside 0 "${WAITING[*]}" "$@"
    judge_step
  done
  tidy_up
  echo "took $((SECONDS / 60)) min $((SECONDS % 60)) s"
  echo "$passed passed, $failed failed, $skipped skipped"
  [[ $failed -eq 0 ]]
}

# wanted NAME [STEP...]: whether it is among the steps that were asked for; none means all.
wanted() {
  local name=$1
  shift
  [[ $# -eq 0 || " $* " == *" $name "* ]]
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
  rm -f "$LOGS"/*.result || exit 1 # A step that does not even run must not pass for its last run.
  # A temporary folder of this run alone: what is left in it is a leak.
  TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/tidings-check.XXXXXX")
  export TMPDIR
  # Every process that this run starts carries this mark; one that outlives it is a leak.
  export TIDINGS_CHECK_MARK=$$.$RANDOM$RANDOM
  export GIT_TERMINAL_PROMPT=0 CARGO_TERM_COLOR=never
  # Nothing is compiled twice there, and nobody debugs.
  is_ci && export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_RELEASE_DEBUG=0
  snapshot >"$TARGET/check/before"
  trap interrupted INT TERM
}

tidy_up() {
  rm -rf "$TMPDIR"
}

# What runs beside other steps does not hear an interrupt; it must not outlive it either.
interrupted() {
  [[ ${#begun[@]} -eq 0 ]] || kill "${begun[@]}" 2>/dev/null
  marked_processes | sed -E 's/^process ([0-9]+):.*/\1/' | xargs -r kill
  tidy_up
  exit 130
}

# begin_beside NICE STEPS [STEP...]: of the steps STEPS, one word each, begins those that are wanted
# beside whatever follows, one after the other.
begin_beside() {
  local level=$1 step chosen=()
  for step in $2; do
    wanted "$step" "${@:3}" && chosen+=("$step")
  done
  for step in "${chosen[@]}"; do
    run_step "$step" nice -n "$level"
  done &
  for step in "${chosen[@]}"; do begun[$step]=$!; done
}
declare -A begun=() # By the step, the process that runs it.

# run_step NAME [COMMAND...]: runs a step, by way of the command if there is one. Its exit code and
# the seconds that it took stand beside its log.
run_step() {
  local step=$1 begin=$EPOCHREALTIME code=0
  shift
  "$@" timeout --kill-after=10 "$STEP_LIMIT" "$BASH" "$0" --one-step "$step" \
    </dev/null >"$LOGS/$step.log" 2>&1 || code=$?
  awk -v code="$code" -v a="$begin" -v b="$EPOCHREALTIME" \
    'BEGIN { printf "%d %6.1f s\n", code, b - a }' >"$LOGS/$step.result"
}

# Runs the step $name unless it has been begun, says how it went and how long it took.
judge_step() {
  local log=$LOGS/$name.log code=1 took=
  if [[ -n ${begun[$name]-} ]]; then
    wait "${begun[$name]}"
  else
    run_step "$name" &
    wait $! # Unlike a command that is waited for at once, this hears an interrupt.
  fi
  IFS=' ' read -r code took <"$LOGS/$name.result" || code=1 # It was ended from outside.
  took=$(printf '%8s' "$took")
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
