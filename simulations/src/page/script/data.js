// The recording, and words for its parts. Times are microseconds.

const run = JSON.parse(document.getElementById("recording").textContent);
const STATUS = ["unknown", "alive", "suspect", "down", "left", "restarting"];
const OVERLAY = ["served", "served as stale", "served as a last resort", "hidden"];
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

const packets = { ...run.packets, sent: summed(run.packets.sent) };

function summed(differences) {
  let at = 0;
  return differences.map((difference) => (at += difference));
}

function node(host) {
  return "n" + host;
}

const LONG = 600e6;

function seconds(us) {
  return Math.floor(us / 1000) / 1000 + " s";
}

/** A moment, as the story writes it. */
function clock(us) {
  if (us < LONG) return seconds(us);
  const two = (number) => String(number).padStart(2, "0");
  const rest = Math.floor(us / 1000) % 60000;
  const point = rest % 1000 === 0 ? "" : String(rest % 1000 / 1000).slice(1);
  return `${Math.floor(us / 3600e6)}:${two(Math.floor(us / 60e6) % 60)}:${two(Math.floor(rest / 1000))}${point}`;
}

/** A short length of time, down to the microsecond. */
function fine(us) {
  return us < 1000 ? us + " µs" : us < 1e6 ? us / 1000 + " ms" : seconds(us);
}

function sideLetter(side) {
  return LETTERS[side] ?? "side " + side;
}

function sideColour(side) {
  return `var(--side${side % 6})`;
}

/** The first index whose value is at least `wanted`. */
function lowerBound(sorted, wanted) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Flat rows `[from, a, b, from, a, b]` as `{ from, until, values }`. */
function spans(flat, width) {
  const rows = [];
  for (let at = 0; at < flat.length; at += width) {
    const until = at + width < flat.length ? flat[at + width] : run.end;
    rows.push({ from: flat[at], until, values: flat.slice(at + 1, at + width) });
  }
  return rows;
}

const views = run.views.map((of) => of.map((flat) => spans(flat, run.shares ? 4 : 2)));
const divergence = spans(run.divergence, 3);

function packetWords(p) {
  const kind = run.kinds[packets.kind[p]][0];
  const took = packets.took[p];
  const way = `${node(packets.from[p])} → ${node(packets.to[p])}: ${kind}`;
  const says = run.details[packets.detail[p]];
  const fate = run.fates[packets.fate[p]] + (took === null ? "" : ` after ${fine(took)}`);
  return [way, says, `sent ${clockFine(packets.sent[p])}, ${fate}`, packets.bytes[p] + " bytes"]
    .filter(Boolean)
    .join("\n");
}

function clockFine(us) {
  return us < LONG ? us / 1e6 + " s" : clock(us);
}
