#!/usr/bin/env bash
# Types the commands of the README's tour into a shell, as a reader would, and compares what comes
# back. A tour that is not tried lies sooner or later.
#
#   scripts/tour.sh
#   scripts/tour.sh --measure 5    the first ten minutes instead, five times, each step timed
#
# In the README's `console` blocks a line that begins with "$ " is typed (a trailing backslash
# continues it); the lines below must come back. A command whose answer is not there yet is typed
# again for a while, as a reader would.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly WITHIN_S=20 # for the whole answer of a command
readonly AGAIN_S=1   # between two tries
readonly MARK=tour-done-$$

main() {
  export TIDINGS_HTTP_ADDR=127.0.0.1:8500
  coproc READER { exec bash 2>&1; }
  trap leave EXIT
  local line command="" expected=()
  typed=0
  while IFS= read -r line; do
    if [[ $command == *\\ ]]; then
      command=${command%\\}$line
    elif [[ $line == '$ '* || $line == '```' ]]; then
      try "$command" "${expected[@]}"
      command=${line#\$ } expected=()
      [[ $line == '```' ]] && command=""
    else
      expected+=("$line")
    fi
  done < <(awk '/^```console$/ { on = 1; next } on { print } /^```$/ { on = 0 }' README.md)
  [[ $typed -gt 0 ]] || fail "README.md has no tour"
  echo "typed $typed commands; each answered as the README says"
}

# try COMMAND EXPECTED-LINE...
try() {
  local command=$1 code begin=$SECONDS
  shift
  [[ -n $command ]] || return 0
  typed=$((typed + 1))
  echo "\$ $command"
  enter "$command"
  [[ $# -gt 0 || $code -eq 0 ]] || fail "'$command' ended with $code: $answer"
  until is_answered "$@"; do
    [[ $((SECONDS - begin)) -lt $WITHIN_S ]] ||
      fail "'$command' did not answer within $WITHIN_S s with:
$(printf '%s\n' "$@")
but with:
$answer"
    sleep "$AGAIN_S"
    if [[ $command == *'&' ]]; then
      enter "true" and-more
    else
      enter "$command"
    fi
  done
}

# enter COMMAND [and-more]: types it, and sets `answer` (or adds to it) and `code`.
enter() {
  local line
  [[ $# -eq 2 ]] || answer=""
  printf '%s\nprintf "\\n%s %%s\\n" "$?"\n' "$1" "$MARK" >&"${READER[1]}"
  while IFS= read -r -t "$WITHIN_S" line <&"${READER[0]}"; do
    if [[ $line == "$MARK "* ]]; then
      code=${line#"$MARK "}
      return
    fi
    answer+=$line$'\n'
  done
  fail "'$1' did not come back; so far: $answer"
}

# Whether the answer is these lines. A line of three dots stands for any lines, three dots within a
# line for any characters; empty lines do not count.
is_answered() {
  [[ $# -gt 0 ]] || return 0
  local line pattern any="" at=0 got=()
  mapfile -t got < <(grep -v '^ *$' <<<"$answer")
  for line in "$@"; do
    if [[ $line == '...' ]]; then
      any=yes
    elif [[ -n ${line// /} ]]; then
      pattern=$(sed 's/[][\\*?]/\\&/g; s/\.\.\./*/g' <<<"$line")
      # shellcheck disable=SC2053 # The right side is a pattern on purpose.
      until [[ $at -lt ${#got[@]} && ${got[at]} == $pattern ]]; do
        at=$((at + 1))
        [[ -n $any && $at -lt ${#got[@]} ]] || return 1
      done
      at=$((at + 1)) any=""
    fi
  done
  [[ -n $any || $at -eq ${#got[@]} ]]
}

leave() {
  trap '' PIPE
  # What the tour started in the background must not outlive it, however it ended.
  # shellcheck disable=SC2016 # The reader's shell expands it.
  echo 'kill $(jobs -p) 2>/dev/null; wait; exit' >&"${READER[1]}" || true
  echo 'exit' >&"${READER[1]}" || true
  cat <&"${READER[0]}" >/dev/null || true
} 2>/dev/null

fail() {
  echo "tour: $1" >&2
  exit 1
}

if [[ ${1-} == --measure ]]; then
  exec scripts/tour/measure.sh "${2:-5}"
fi
main
