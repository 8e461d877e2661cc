// Events by row, for marks and for the keyboard: the network, the faults, the registries, each node.

const ROWS = { network: 0, faults: 1, registries: 2, lanes: 3 };
const rows = Array.from({ length: ROWS.lanes + run.hosts }, () => []);

function happened(row, kind, at, say, more = {}) {
  rows[row].push({ row, kind, at, say, ...more });
}

function collectNetwork() {
  for (const split of run.splits) {
    const sides = split.words.map((side, nth) => `${sideLetter(nth)}: ${side}`).join("\n");
    const way = split.one_way ? "\nsome of it in one direction only" : "";
    const span = `split from ${clock(split.from)} to ${clock(split.until)}`;
    happened(ROWS.network, "split", split.from, `${span}\n${sides}${way}`, { until: split.until, split });
  }
  for (const turn of turningPoints()) {
    if (turn.kind !== "split") happened(ROWS.network, "turn", turn.at, turn.say);
  }
}

/** The moments that cut the whole run into parts. */
function turningPoints() {
  const turns = [];
  const turn = (at, kind, word, say = word) => turns.push({ at, kind, word, say: `${say} at ${clock(at)}` });
  run.splits.forEach((split, nth) => {
    turn(split.from, "split", "split", "the network is split");
    const next = run.splits[nth + 1];
    if (split.healed && next?.from !== split.until) turn(split.until, "healed", "healed", "the split is healed");
  });
  if (run.agreed !== null && run.agreed > 0) {
    turn(run.agreed, "agreed", "all agree", "from here on all running agents hold the same: agreed");
  }
  if (run.violation) turn(run.violation.at, "broken", "BROKEN", run.violation.text);
  return turns.sort((a, b) => a.at - b.at);
}

function collectFaults() {
  for (const fault of run.faults) {
    const say = `${fault.text}\nfrom ${clock(fault.from)} to ${clock(fault.until)}`;
    happened(ROWS.faults, "fault", fault.from, say, { until: fault.until, fault });
  }
}

function collectRegistries() {
  for (const { from, until, values } of divergence) {
    const apart = values[0] === 1 ? "all running agents hold the same" : `${values[0]} different registries, ${values[1]} agents differ from most`;
    happened(ROWS.registries, "apart", from, `${clock(from)} to ${clock(until)}: ${apart}`, { until });
  }
}

function collectLanes() {
  for (let at = 0; at < run.downs.length; at += 3) {
    const [when, by, of] = run.downs.slice(at, at + 3);
    happened(ROWS.lanes + by, "down", when, `${node(by)} declares ${node(of)} down at ${clock(when)}`, { of });
  }
  for (const [host, asked, answered, text, refusal] of run.calls) {
    const kind = refusal !== null ? "refused" : answered === null ? "open" : "call";
    const came = { refused: `refused: ${refusal}`, open: "never answered", call: `acknowledged after ${fine((answered ?? asked) - asked)}` };
    happened(ROWS.lanes + host, kind, asked, `${node(host)} is asked at ${clock(asked)}: ${text}\n${came[kind]}`);
  }
  for (const [host, at, text] of run.notes) {
    happened(ROWS.lanes + host, "note", at, `${node(host)} at ${clock(at)}: ${text}`);
  }
  run.islands.forEach((times, host) => {
    for (let at = 0; at < times.length; at += 2) {
      const say = `${node(host)} takes itself for cut off (an island) from ${clock(times[at])} to ${clock(times[at + 1])}`;
      happened(ROWS.lanes + host, "island", times[at], say, { until: times[at + 1] });
    }
  });
  run.processes.forEach((process, host) => {
    for (const [from, until, paused] of process.out) {
      const say = `${node(host)} ${paused ? "stands still" : "is not there"} from ${clock(from)} to ${clock(until)}`;
      happened(ROWS.lanes + host, "out", from, say, { until, paused });
    }
  });
}

collectNetwork();
collectFaults();
collectRegistries();
collectLanes();
rows.forEach((row) => row.sort((a, b) => a.at - b.at));
