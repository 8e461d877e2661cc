#!/usr/bin/env bash
# Splits a real network under real agents, and shows what they do: both sides register and answer,
# and once the network is whole again all agree. Ends with 1 if they do not.
#
#   scripts/partition.sh [--seconds N] [--agents 2|3] [--shape split|blackout]
#
# --seconds   how long the split lasts once it is noticed (20)
# --agents    how many agents (3)
# --shape     split: the last agent is cut off from the rest; blackout: each from every other
#
# Each agent is a host of its own: a network namespace with an address of its own. Root is not
# needed where users may have namespaces; `unshare -Urnm scripts/partition.sh` works as well.
# Needs unshare, ip, nft, curl, and a built binary (cargo build --release, or TIDINGS_BIN).
# Everything happens in namespaces that end with the script, so nothing is left behind.
set -euo pipefail

readonly external='{"Node": "external", "Address": "192.0.2.1"}'
readonly NOTICED_MS=10000 HEALED_MS=5000 START_MS=5000 HEARD_MS=1000

main() {
  seconds=20 agents=3 shape=split
  while [[ $# -gt 0 ]]; do
    case "$1 ${2-}" in
      "--seconds "[0-9]*) seconds=$2 ;;
      "--agents "[23]) agents=$2 ;;
      "--shape split" | "--shape blackout") shape=$2 ;;
      *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" && exit 2 ;;
    esac
    shift 2
  done
  for tool in unshare ip nft curl; do
    command -v "$tool" >/dev/null || fail "$tool is not installed"
  done
  find_binary
  prepare
  start_all
  before
  split
  during
  heal
  after
  say "all agree; what was done during the split was kept, what was deregistered stays away"
}

# --- the story ---------------------------------------------------------------

start_all() {
  say "$agents agents, each a host of its own; they start at once and find each other"
  "$tidings" keygen >"$dir/key" && chmod 600 "$dir/key"
  local n seeds=()
  for n in $(all); do seeds+=(--join "10.1.0.$n:8301"); done
  for n in $(all); do
    within "$n" "$tidings" agent --name "n$n" --data-dir "$dir/n$n" --key-file "$dir/key" \
      --bind "10.1.0.$n" --client "10.2.$n.2" "${seeds[@]}" >"$dir/n$n.log" 2>&1 &
  done
  for n in $(all); do await "$START_MS" "n$n reaches all" reaches "$n" "$agents"; done
  ask 1 members
}

before() {
  say "web is registered at each agent, and each answers with all of them"
  local n
  for n in $(all); do register "$n" web "80$n"; done
  register "$agents" retired 8100
  put 1 catalog/register "$external" || fail "n1 does not register a host without an agent"
  note "n1 registers the host external, which runs no agent"
  for n in $(all); do await "$HEARD_MS" "n$n answers web" serves "$n" web "$(web_of "$(all)")"; done
  ask 1 lookup web
}

split() {
  local begin n
  begin=$(now)
  if [[ $shape == blackout ]]; then
    say "every link goes down"
    for n in $(all); do within "$n" ip link set gossip down; done
  else
    say "the network splits: n$agents drops what comes from the rest, and the rest what comes from it"
    for n in $(all); do
      within "$n" nft -f - <<<"table ip cut {
        chain input {
          type filter hook input priority 0
          ip saddr { $(addresses "$(rest_of "$n")") } drop
        }
      }"
    done
  fi
  for n in $(all); do
    await "$NOTICED_MS" "n$n notices" reaches "$n" "$(side_of "$n" | wc -w)"
  done
  note "noticed by all after $(($(now) - begin)) ms"
}

during() {
  say "each side registers, answers, and takes away what it likes"
  local n first
  for n in $(all); do
    first=$(side_of "$n" | cut -d' ' -f1)
    if [[ $n == "$first" ]]; then
      register "$n" "side-$n" "82$n"
      external "$n" database "83$n"
    fi
  done
  deregister "$agents" retired
  say "for $seconds s each agent answers for its side; one that is cut off from most also answers
   for the others, marked as stale"
  local end=$(($(now) + seconds * 1000)) looks=0
  while [[ $looks -eq 0 || $(now) -lt $end ]]; do
    for n in $(all); do
      first=$(side_of "$n" | cut -d' ' -f1)
      serves "$n" web "$(web_of "$(seen_by "$n")")" || fail "n$n answers web with: $(ports "$n" web)"
      serves "$n" "side-$first" "82$first" || fail "n$n does not answer what its side was told"
      serves "$n" database "83$first" || fail "n$n does not answer with its side's database"
    done
    looks=$((looks + 1))
    sleep 0.2
  done
  note "asked $looks times"
  for n in 1 "$agents"; do
    ask "$n" status | sed -n '1p;/reachable/p'
    ask "$n" lookup web
  done
}

heal() {
  local n begin
  begin=$(now)
  say "the network is whole again"
  for n in $(all); do
    if [[ $shape == blackout ]]; then
      within "$n" ip link set gossip up
    else
      within "$n" nft delete table ip cut
    fi
  done
  await "$HEALED_MS" "all agree" agree
  note "all agree after $(($(now) - begin)) ms"
}

after() {
  local n
  for n in $(all); do
    serves "$n" web "$(web_of "$(all)")" || fail "n$n answers web with: $(ports "$n" web)"
    serves "$n" retired "" || fail "n$n answers with what was deregistered"
    serves "$n" side-1 821 || fail "n$n does not answer what n1 was told"
    [[ $(field "$n" conflicts) -eq 1 ]] || fail "n$n counts $(field "$n" conflicts) conflicts, not 1"
  done
  ask 1 services
  note "one service, database, was registered on every side with another port. The last write won,"
  note "everywhere, and is counted as one conflict:"
  ask 1 lookup database
  ask 1 status
}

# --- who is where ------------------------------------------------------------

all() { seq -s' ' "$agents"; }

# The agents that N still reaches, itself included.
side_of() {
  if [[ $shape == blackout || $1 == "$agents" ]]; then
    echo "$1"
  else
    seq -s' ' $((agents - 1))
  fi
}

rest_of() {
  local n side
  side=" $(side_of "$1") "
  for n in $(all); do [[ $side == *" $n "* ]] || echo "$n"; done
}

# Whose instances N serves during the split: all, if it is cut off from at least half.
seen_by() {
  if [[ $(($(side_of "$1" | wc -w) * 2)) -le $agents ]]; then all; else side_of "$1"; fi
}

web_of() { for n in $1; do echo "80$n"; done | xargs; }

addresses() { for n in $1; do echo "10.1.0.$n"; done | paste -sd,; }

# --- asking agents -----------------------------------------------------------

ask() {
  local n=$1
  shift
  echo "\$ tidings $* --http n$n"
  "$tidings" "$@" --http "10.2.$n.2:8500" | sed 's/^/  /'
}

field() { "$tidings" status --json --http "10.2.$1.2:8500" | sed -n "s/^  \"$2\": \"*\([^\",]*\).*/\1/p"; }

reaches() { [[ $(field "$1" reachable) -eq $2 && $(field "$1" expected) -eq $agents ]]; }

# The ports under which N answers SERVICE, over HTTP.
ports() {
  { "$tidings" lookup "$2" --json --http "10.2.$1.2:8500" 2>/dev/null || true; } |
    sed -n 's/^ *"port": \([0-9]*\).*/\1/p' | sort -n | xargs
}

serves() { [[ $(ports "$1" "$2") == "$3" ]]; }

# What N answers about everything, without what is its own.
answers() {
  local name
  for name in $("$tidings" services --http "10.2.$1.2:8500" | sed 1d | cut -d' ' -f1); do
    echo "$name"
    "$tidings" lookup "$name" --json --http "10.2.$1.2:8500" 2>&1 || true
  done
  field "$1" fingerprint
}

agree() {
  local n expected
  expected=$(answers 1)
  for n in $(all); do
    reaches "$n" "$agents" && [[ $(answers "$n") == "$expected" ]] || return 1
  done
}

put() { curl -sS -f -o /dev/null -X PUT "http://10.2.$1.2:8500/v1/$2" -d "${3-}"; }

register() {
  put "$1" agent/service/register "{\"Name\": \"$2\", \"Port\": $3}" || fail "n$1 does not register"
  note "n$1 registers $2, port $3"
}

deregister() {
  put "$1" "agent/service/deregister/$2" || fail "n$1 does not deregister"
  note "n$1 deregisters $2"
}

# A service of the host without an agent: any agent may write it.
external() {
  put "$1" catalog/register "${external%\}},
    \"Service\": {\"Service\": \"$2\", \"Port\": $3}}" ||
    fail "n$1 does not register an external service"
  note "n$1 registers the external service $2, port $3"
}

# --- the ground --------------------------------------------------------------

find_binary() {
  local target
  target=$(cd "$(dirname "$0")/.." && pwd)/target
  for tidings in "${TIDINGS_BIN-}" "$target/release/tidings" "$target/debug/tidings"; do
    if [[ -x $tidings ]]; then
      return
    fi
  done
  fail "there is no binary: cargo build --release"
}

# Hosts: a namespace each, with one link to a bridge that all share, and one over which the script
# asks, so that it sees both sides.
prepare() {
  dir=$(mktemp -d)
  trap 'rm -rf "$dir"' EXIT
  trap 'exit 130' INT TERM
  ip link set lo up
  mount -t tmpfs none /run
  mkdir /run/netns
  ip link add bridge type bridge
  ip link set bridge up
  local n
  for n in $(all); do
    ip netns add "n$n"
    ip link add "g$n" type veth peer name gossip netns "n$n"
    ip link add "c$n" type veth peer name control netns "n$n"
    ip link set "g$n" master bridge up
    ip link set "c$n" up
    ip address add "10.2.$n.1/24" dev "c$n"
    within "$n" ip link set lo up
    within "$n" ip link set gossip up
    within "$n" ip link set control up
    within "$n" ip address add "10.1.0.$n/24" dev gossip
    within "$n" ip address add "10.2.$n.2/24" dev control
  done
}

within() {
  local n=$1
  shift
  nsenter --net="/run/netns/n$n" "$@"
}

# await MS WHAT COMMAND...
await() {
  local end=$(($(now) + $1)) what=$2
  shift 2
  until "$@" 2>/dev/null; do
    [[ $(now) -lt $end ]] || fail "not in time: $what"
    sleep 0.05
  done
}

now() { date +%s%3N; }

say() { printf '\n== %s\n' "$*"; }

note() { printf '   %s\n' "$*"; }

fail() {
  printf '\nFAILED: %s\n' "$*" >&2
  [[ -z ${dir-} ]] || tail -n 20 "$dir"/*.log >&2
  exit 1
}

# Namespaces of its own, whoever calls: with them end all processes, links and mounts.
if [[ -z ${TIDINGS_PARTITION_INSIDE-} ]]; then
  export TIDINGS_PARTITION_INSIDE=1
  own=(--net --mount --pid --fork --kill-child)
  unshare "${own[@]}" true 2>/dev/null || own+=(--user --map-root-user)
  exec unshare "${own[@]}" "$0" "$@"
fi
main "$@"
