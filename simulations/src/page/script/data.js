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

/** A moment or a length of time, as the story writes it. */
function clock(us) {
  const ms = Math.floor(us / 1000);
  const seconds = (ms) => String(ms / 1000) + " s";
  if (ms < 600000) return seconds(ms);
  const minutes = Math.floor(ms / 60000);
  if (minutes < 60) return minutes + " min " + seconds(ms % 60000);
  return Math.floor(minutes / 60) + " h " + (minutes % 60) + " min " + seconds(ms % 60000);
}

/** A short length of time, down to the microsecond. */
function fine(us) {
  return us < 1000 ? us + " µs" : us < 1e6 ? us / 1000 + " ms" : clock(us);
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
  return us < 600e6 ? us / 1e6 + " s" : clock(us);
}
