#!/usr/bin/env bash
# Walks through a newcomer's first ten minutes several times and tells how long each step took.
#
#   scripts/tour.sh --measure 5
#
# Each round begins with nothing: new agents, new directories. A step of which something does not exist
# is measured as far as it does, and named in the list at the end. What is awaited has ten times its
# target; after that the step has failed, and the exit code is 1. A missed target is only marked, since
# the machine may be busy: the first line of the table says whether it was. TIDINGS_STRICT=1 makes it a
# failure too.
#
# Runs in a network namespace of its own, so that no port is taken. Needs unshare, ip, nft, curl, dig,
# and release builds of tidings and tidings-sim (or TIDINGS_BIN, TIDINGS_SIM_BIN).
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly ROOT

# STEP|TARGET IN MS|WHAT, in the order of the walk.
readonly STEPS="
1|1000|tidings dev: from the command to the banner
2|1000|a Consul definition file is put into the directory: until it is answered
3|10|register over HTTP, and the same again
4|2|dig SRV
5|-|open the UI
6|3000|the health URL breaks: out of DNS, and lookup says why
7a|1000|two more agents: both have joined
7b|2000|two more agents: all answer the same
8|-|another agent answers the same over HTTP and DNS
14|50|a blocking query on another agent returns
9|6000|kill -9: its instances are gone everywhere, and a watch tells
10|500|Ctrl-C: left at once
11|2000|restart with the data directory: same node, its registrations back
12|5000|a split between hosts is noticed; both sides register and answer
13|5000|healed: all agree, conflicts counted, nothing resurrected
15|-|the simulator's run of seed 42: the same trace twice
"
readonly NOT_THERE="
2: the directory is one that was given with --definition-dir, to dev too; there is none by default
5: there is no UI
7: dev --node is called --name
9: /v1/tidings/watch is asked, which tidings watch follows
11: dev has no data directory, so the agents that come back are tidings agent --data-dir
12: there is no demo; scripts/partition.sh is run, which tells both this step and the next
15: there is no command sim in tidings; tidings-sim run --seed 42 is
"
readonly BUSY_PERCENT=10 # above this, what others take of the machine is not nothing

main() {
  local rounds=${1:-5} round
  [[ $rounds =~ ^[1-9][0-9]*$ ]] || fail "how often? scripts/tour.sh --measure 5"
  find_tools
  if [[ -z ${TIDINGS_TOUR_ALONE-} ]]; then
    local own=(--net --mount)
    unshare "${own[@]}" true 2>/dev/null || own+=(--user --map-root-user)
    TIDINGS_TOUR_ALONE=1 exec unshare "${own[@]}" "$0" "$rounds"
  fi
  ip link set lo up
  figures=$(mktemp -d)
  trap 'stop_all; rm -rf "$figures"' EXIT
  for ((round = 1; round <= rounds; round++)); do
    echo "round $round of $rounds" >&2
    look_at_machine
    walk
  done
  tell "$rounds"
}

walk() {
  dir=$(mktemp -d -p "$figures")
  mkdir "$dir/services.d"
  begins_alone
  defines
  registers
  breaks
  grows
  blocks
  dies
  leaves
  returns
  stop_all
  splits
  simulates
}

# --- the steps ---------------------------------------------------------------

begins_alone() {
  start
  run app dev --name app
  await 1 "the banner" grep -q '^  stop' "$dir/app.log"
  stop app
}

# An application that can be broken: an agent of a cluster of its own, asked for its status.
defines() {
  run a agent --name a --data-dir "$dir/a" --definition-dir "$dir/services.d"
  wait_for "a answers" get a status/leader
  run app dev --name app
  wait_for "the application runs" grep -q '^  stop' "$dir/app.log"
  start
  cat >"$dir/services.d/web.json" <<'JSON'
{"service": {"name": "web", "port": 8080, "check": {"name": "web answers",
  "http": "http://127.0.0.1:8510/v1/status/leader", "interval": "1s", "timeout": "1s",
  "failures_before_critical": 3}}}
JSON
  await 2 "web is registered from its file" get a agent/service/web
  wait_for "web passes" serves a web
}

registers() {
  local body='{"Name": "api", "Port": 9090, "Tags": ["v1"]}' tries try
  for try in 1 2; do
    tries=$(curl -sf -o /dev/null -w '%{time_total}' -X PUT "$(url a agent/service/register)" -d "$body") ||
      fail "api is not registered, try $try"
    record 3 "$((10#${tries/./}))"
  done
  [[ $(curl -sf "$(url a catalog/service/api)" | grep -c '"ServiceID"') -le 1 ]] || fail "api is there twice"
  tries=$(dig -u @127.0.0.1 -p 8600 api.service.consul SRV)
  [[ $tries == *" 9090 a.node."* ]] || fail "dig got: $tries"
  record 4 "$(sed -n 's/^;; Query time: \([0-9]*\) usec.*/\1/p' <<<"$tries")"
}

breaks() {
  start
  stop app -9
  await 6 "web is gone from DNS" not resolves web
  # That nothing is healthy is an error to lookup, which lists it all the same.
  { "$tidings" lookup web 2>/dev/null || true; } | grep -q 'web answers' ||
    fail "lookup does not say why web is critical"
}

grows() {
  start
  run b agent --name b --data-dir "$dir/b" "${PORTS_B[@]}" --join 127.0.0.1:8301
  run c dev --name c --join 127.0.0.1:8301
  wait_for "c has ports" grep -q '^  HTTP' "$dir/c.log"
  await 7a "both have joined" sees_all a b c
  await 7b "all answer the same" agree
  start
  [[ $(answers a) == "$(answers b)" ]] || fail "a and b differ: $(diff <(answers a) <(answers b))"
  [[ $(srv 8600) == "$(srv 8620)" ]] || fail "a and b differ in DNS"
  record 8 "$(passed)"
}

# What an agent says of api, without the numbers that are its own.
answers() { curl -sf "$(url "$1" health/service/api?pretty)" | grep -vE '"(Create|Modify)Index"'; }
srv() { dig @127.0.0.1 -p "$1" api.service.consul SRV +short; }

blocks() {
  local index
  index=$(curl -sf -o /dev/null -D - "$(url b health/service/blocked)" | tr -d '\r' |
    sed -n 's/^x-consul-index: //Ip')
  curl -sf "$(url b "health/service/blocked?index=$index&wait=60s")" >"$dir/blocked" &
  local blocked=$!
  index=$(curl -sf -o /dev/null -D - "$(url b health/service/api)" | tr -d '\r' |
    sed -n 's/^x-consul-index: //Ip')
  curl -sf "$(url b "health/service/api?index=$index&wait=60s")" >"$dir/other" &
  local other=$!
  sleep 0.3
  start
  put a '{"Name": "blocked", "Port": 1}'
  wait "$blocked" || fail "the blocking query failed"
  record 14 "$(passed)"
  grep -q blocked "$dir/blocked" || fail "the blocking query does not tell what it waited for"
  sleep 0.2
  kill "$other" 2>/dev/null || fail "a query for another service returned"
}

dies() {
  put b '{"Name": "mortal", "Port": 2}'
  id=$(field b node_id)
  wait_for "a and c serve mortal" all_serve mortal a c
  : >"$dir/watched"
  curl -sN "$(url a 'tidings/watch?service=mortal&passing')" >"$dir/watched" &
  pids[watch]=$!
  wait_for "the watch begins" grep -q data: "$dir/watched"
  local told
  told=$(grep -c data: "$dir/watched")
  start
  stop b -9
  await 9 "mortal is gone from a and c, and the watch tells" gone mortal "$told"
  stop watch
}

gone() { none_serves "$1" a c && [[ $(grep -c data: "$dir/watched") -gt $2 ]]; }

leaves() {
  start
  kill -INT "${pids[c]}"
  await 10 "a knows that c has left" has_left c
  wait "${pids[c]}" || true
}

has_left() { "$tidings" members | grep -qE "^$1 .* left "; }

returns() {
  start
  run b agent --name b --data-dir "$dir/b" "${PORTS_B[@]}"
  await 11 "mortal is back at a" serves a mortal
  [[ $(field b node_id) == "$id" ]] || fail "b came back as another node"
}

splits() {
  local told ms
  told=$("$ROOT/scripts/partition.sh" --seconds 1) || fail "scripts/partition.sh failed: $told"
  ms=$(sed -n 's/.*noticed by all after \([0-9]*\) ms.*/\1/p' <<<"$told")
  record 12 $((ms * 1000))
  ms=$(sed -n 's/.*all agree after \([0-9]*\) ms.*/\1/p' <<<"$told")
  record 13 $((ms * 1000))
}

simulates() {
  local scenario=$ROOT/simulations/scenarios/clean-split-half.toml first second
  start
  first=$(trace_of "$scenario")
  record 15 "$(passed)"
  second=$(trace_of "$scenario")
  [[ -n $first && $first == "$second" ]] || fail "seed 42 has the traces '$first' and '$second'"
  trace=$first
}

trace_of() { "$simulator" run --json --seed 42 "$1" | sed -n 's/.*"trace":"\([0-9a-f]*\)".*/\1/p'; }

# --- asking ------------------------------------------------------------------

readonly PORTS_B=(--http-port 8520 --dns-port 8620 --gossip-port 8321)
declare -A pids=()

# Where an agent answers HTTP: c is told its port when it starts.
url() {
  local port=8500
  case $1 in
    b) port=8520 ;;
    c) port=$(sed -n 's/^  HTTP .*:\([0-9]*\)$/\1/p' "$dir/c.log") ;;
  esac
  echo "http://127.0.0.1:$port/v1/$2"
}

get() { curl -sf -o /dev/null "$(url "$1" "$2")" 2>/dev/null; }
put() { curl -sf -o /dev/null -X PUT "$(url "$1" agent/service/register)" -d "$2" || fail "$1 does not take $2"; }
serves() { curl -sf "$(url "$1" "health/service/$2?passing")" 2>/dev/null | grep -q '"Service"'; }
resolves() { dig @127.0.0.1 -p 8600 "$1.service.consul" SRV +short | grep -q .; }
not() { ! "$@"; }
# A text of an agent's status, whether it is indented or not.
field() {
  curl -sf "$(url "$1" tidings/status)" | tr -d ' "' | tr ',' '\n' | sed -n "s/^$2://p" | head -n 1
}

sees_all() {
  local agent
  for agent in "$@"; do
    [[ $(curl -sf "$(url "$agent" agent/members)" | grep -o '"Status": *1' | wc -l) -eq $# ]] || return 1
  done
}

all_serve() {
  local agent
  for agent in "${@:2}"; do serves "$agent" "$1" || return 1; done
}

none_serves() {
  local agent
  for agent in "${@:2}"; do [[ $(curl -sf "$(url "$agent" "health/service/$1?passing")") == "[]"* ]] || return 1; done
}

agree() {
  local agent first
  first=$(field a fingerprint)
  for agent in b c; do [[ -n $first && $(field "$agent" fingerprint) == "$first" ]] || return 1; done
}

# --- running and timing ------------------------------------------------------

run() {
  "$tidings" "${@:2}" >"$dir/$1.log" 2>&1 &
  pids[$1]=$!
}

# stop NAME [SIGNAL]
stop() {
  kill "${2--TERM}" "${pids[$1]}" 2>/dev/null || true
  wait "${pids[$1]}" 2>/dev/null || true
  unset "pids[$1]"
}

stop_all() {
  local name
  for name in "${!pids[@]}"; do stop "$name"; done
}

start() { begun=${EPOCHREALTIME/[.,]/}; }

# Microseconds since `start`.
passed() { echo $((${EPOCHREALTIME/[.,]/} - begun)); }

# await STEP WHAT COMMAND...: until the command succeeds, and writes down how long that took.
await() {
  local limit=$(($(target "$1") * 10000)) ms
  until "${@:3}"; do
    [[ $(passed) -lt $limit ]] || fail "step $1: not within $((limit / 1000)) ms: $2"
    sleep 0.005
  done
  ms=$(passed)
  record "$1" "$ms"
}

# wait_for WHAT COMMAND...: what no step is about.
wait_for() {
  local tries
  for ((tries = 0; tries < 3000; tries++)); do
    ! "${@:2}" || return 0
    sleep 0.01
  done
  fail "not within 30 s: $1"
}

record() { echo "$2" >>"$figures/$1"; }

target() { sed -n "s/^$1|\([^|]*\)|.*/\1/p" <<<"$STEPS"; }

# --- telling -----------------------------------------------------------------

# What others take of the machine in the second before a round, in per cent.
look_at_machine() {
  local before after
  before=$(head -n 1 /proc/stat)
  sleep 1
  after=$(head -n 1 /proc/stat)
  awk -v before="$before" -v after="$after" 'BEGIN {
    split(before, b); split(after, a)
    for (n = 2; n <= 9; n++) { all += a[n] - b[n]; if (n == 5 || n == 6) idle += a[n] - b[n] }
    printf "%d\n", all ? 100 * (all - idle) / all : 0
  }' >>"$figures/others"
}

tell() {
  local others load missed=0 step target what
  others=$(sort -n "$figures/others" | tail -n 1)
  load=$(cut -d' ' -f1-3 /proc/loadavg)
  echo "measured: $1 rounds on $(nproc) cores; before each, others took up to $others % of them" \
    "($([[ $others -le $BUSY_PERCENT ]] && echo quiet || echo "NOT QUIET")); load at the end $load"
  printf '%-4s %9s %3s %10s %10s  %s\n' step target n median slowest what
  while IFS='|' read -r step target what; do
    [[ -n $step ]] || continue
    row || missed=$((missed + 1))
  done <<<"$STEPS"
  echo "the trace of seed 42: $trace"
  echo "not as the script of the first ten minutes has it:"
  sed -n 's/^[0-9]/  &/p' <<<"$NOT_THERE"
  [[ $missed -eq 0 || ${TIDINGS_STRICT-} != 1 ]] || fail "$missed targets were missed"
}

# One step's figures; fails if it missed its target.
row() {
  local n median slowest mark=""
  if [[ ! -e $figures/$step ]]; then
    printf '%-4s %9s %3s %10s %10s  %s: NOT THERE\n' "$step" - 0 - - "$what"
    return
  fi
  n=$(wc -l <"$figures/$step")
  median=$(sort -n "$figures/$step" | sed -n "$(((n + 1) / 2))p")
  slowest=$(sort -n "$figures/$step" | tail -n 1)
  [[ $target == - || $slowest -le $((target * 1000)) ]] || mark=" MISSED"
  printf '%-4s %9s %3s %10s %10s  %s%s\n' "$step" "$([[ $target == - ]] && echo - || echo "$target ms")" \
    "$n" "$(in_ms "$median")" "$(in_ms "$slowest")" "$what" "$mark"
  [[ -z $mark ]]
}

in_ms() { printf '%d.%d ms' $(($1 / 1000)) $(($1 % 1000 / 100)); }

find_tools() {
  local tool
  for tool in unshare ip nft curl dig; do
    command -v "$tool" >/dev/null || fail "$tool is not installed"
  done
  tidings=$(binary "${TIDINGS_BIN-}" tidings)
  simulator=$(binary "${TIDINGS_SIM_BIN-}" tidings-sim)
  export TIDINGS_BIN=$tidings TIDINGS_SIM_BIN=$simulator TIDINGS_HTTP_ADDR=127.0.0.1:8500
}

binary() {
  local found
  for found in "$1" "${CARGO_TARGET_DIR:-$ROOT/target}/release/$2"; do
    if [[ -x $found ]]; then
      realpath "$found"
      return
    fi
  done
  fail "there is no $2: cargo build --release -p tidings -p tidings-sim"
}

fail() {
  echo "tour: $1" >&2
  exit 1
}

main "$@"
