# shellcheck shell=bash
# What a check leaves behind: it must be nothing outside target/.

step_leaks() {
  local left
  left=$(
    marked_processes
    find "$TMPDIR" -mindepth 1 -maxdepth 1 -printf 'temporary file %p\n'
    snapshot | comm -13 "$TARGET/check/before" -
  )
  [[ -z $left ]] && return
  echo "left behind:"
  echo "$left"
  return 1
}

# One sorted line for each thing that a later step could leave behind and that bears no mark.
snapshot() {
  {
    git status --porcelain --untracked-files=all | sed 's/^/file /'
    if command -v ip >/dev/null; then
      ip netns list | sed 's/^/namespace /'
      ip -o link | awk '{ print "link", $2 }'
    fi
    # On a machine with other users their ports come and go; CI's machine has none.
    if is_ci && command -v ss >/dev/null; then
      ss -Hlntu | awk '{ print "port", $1, $5 }'
    fi
  } | LC_ALL=C sort
}

# Processes that were started by this run, other than this one and those that it came from.
marked_processes() {
  local ours=" " pid=$BASHPID process
  while [[ $pid -gt 1 ]]; do
    ours+="$pid "
    pid=$(awk '/^PPid:/ { print $2 }' "/proc/$pid/status")
  done
  for process in /proc/[0-9]*; do
    pid=${process#/proc/}
    [[ $ours == *" $pid "* ]] && continue
    grep -qsz "^TIDINGS_CHECK_MARK=$TIDINGS_CHECK_MARK\$" "$process/environ" || continue
    echo "process $pid: $(tr '\0' ' ' <"$process/cmdline")"
  done
}
