// What belongs to no node: the axis, the turning points, the splits, the faults, the registries.

const AXIS = 16;
const TAGS = 26;
const BAR = 15;
const CURVE = 34;
const FAULT_ROWS = 8;

function drawAxis(y, bottom) {
  const parts = [];
  for (const at of ticks(Math.max(4, Math.floor(plotWidth() / 110)))) {
    parts.push(shape("path", { d: `M${x(at)} ${y + AXIS - 3}V${bottom}`, stroke: "var(--line)", "stroke-width": 0.5 }));
    parts.push(label(x(at), y + 10, clock(Math.round(at)), { "text-anchor": "middle", class: "soft" }));
  }
  return parts;
}

const TURN_COLOURS = { split: "var(--fault)", healed: "var(--good)", agreed: "var(--good)", broken: "var(--bad)" };

function drawTurns(y, bottom) {
  const parts = [];
  const ends = [-Infinity, -Infinity];
  for (const turn of turningPoints().filter((turn) => isShown(turn.at))) {
    const colour = TURN_COLOURS[turn.kind];
    const words = `${turn.word} ${clock(turn.at)}`;
    const width = words.length * 6.8 + 12;
    const left = Math.min(x(turn.at), GUTTER + plotWidth() - width);
    const tier = ends.findIndex((end) => end < left);
    const dash = turn.kind === "agreed" ? "2 3" : turn.kind === "split" ? "6 3" : "none";
    const wide = turn.kind === "broken" ? 2.5 : 1.4;
    const from = tier === -1 ? y + TAGS : y + tier * 13;
    parts.push(shape("path", { d: `M${x(turn.at)} ${from}V${bottom}`, stroke: colour, "stroke-width": wide, "stroke-dasharray": dash, "pointer-events": "none" }));
    if (tier === -1) continue;
    ends[tier] = left + width;
    const box = shape("rect", { x: left, y: y + tier * 13, width, height: 12.5, fill: colour, rx: 2 });
    const text = label(left + 5, y + tier * 13 + 10, words, { style: "fill:var(--paper);font-weight:600" });
    // A split's own mark is its bar.
    const made = turn.kind === "split" ? saying(turn.say, shape("g", {}, box, text)) : mark({ row: ROWS.network, at: turn.at }, turn.say, box, text);
    parts.push(made);
  }
  return parts;
}

function drawNetwork(y) {
  const parts = [label(8, y + 11, "network")];
  parts.push(bar(0, run.end, y, BAR, { fill: "var(--good)", "fill-opacity": 0.16 }));
  const quiet = bar(run.quiet, run.end, y, BAR, { fill: "var(--good)", "fill-opacity": 0.2 });
  parts.push(saying(`quiet phase: from ${clock(run.quiet)} on nothing is done to anybody`, quiet));
  if (quiet) parts.push(fitted("quiet", Math.max(x(run.quiet), GUTTER) + 4, y + 11, Number(quiet.getAttribute("width")) - 6));
  for (const event of rows[ROWS.network].filter((event) => event.kind === "split")) {
    const { split } = event;
    const box = bar(split.from, split.until, y, BAR, { fill: "var(--paper)", stroke: "var(--fault)" });
    if (!box) continue;
    parts.push(mark(event, event.say, box, ...sideLabels(split, y)));
  }
  return parts;
}

/** The sides of a split side by side, each in its colour. */
function sideLabels(split, y) {
  const left = Math.max(x(split.from), GUTTER);
  const right = Math.min(x(split.until), GUTTER + plotWidth());
  const share = (right - left) / split.sides.length;
  return split.words.flatMap((words, nth) => {
    const px = left + nth * share;
    const tint = shape("rect", { x: px, y, width: share, height: BAR, fill: sideColour(nth), "fill-opacity": 0.25 });
    const text = fitted(`${sideLetter(nth)}: ${words}`, px + 4, y + 11, share - 6, { "font-weight": 600 });
    return [tint, text];
  });
}

/** Faults in as few rows as they need; those that find no room share the last one. */
function faultRows() {
  const ends = [];
  return rows[ROWS.faults].map((event) => {
    let row = ends.findIndex((end) => end <= event.at);
    if (row === -1) row = Math.min(ends.length, FAULT_ROWS - 1);
    ends[row] = Math.max(ends[row] ?? 0, event.until, event.at + run.end / 12);
    return { event, row };
  });
}

/** A short fault's words may go on behind it, up to the next fault of the row. */
function roomBehind(event, row, placed, left) {
  const next = placed.find((other) => other.row === row && other.event.at > event.at);
  return Math.min(220, (next ? x(next.event.at) : GUTTER + plotWidth()) - left);
}

function drawFaults(y) {
  const placed = faultRows();
  if (placed.length === 0) return { parts: [], height: 0 };
  const parts = [label(8, y + 11, "faults")];
  for (const { event, row } of placed) {
    const top = y + row * (BAR + 1);
    const box = bar(event.at, event.until, top, BAR, { fill: "url(#hatch-fault)", stroke: "var(--fault)" });
    if (!box) continue;
    const left = Math.max(x(event.at), GUTTER);
    const room = Math.max(x(event.until) - left, roomBehind(event, row, placed, left)) - 6;
    const text = fitted(event.fault.text, left + 4, top + 11, room, { class: "on-hatch", "paint-order": "stroke", stroke: "var(--paper)", "stroke-width": 3 });
    parts.push(mark(event, event.say, box, text));
  }
  const used = Math.max(...placed.map(({ row }) => row)) + 1;
  return { parts, height: used * (BAR + 1) + 3 };
}

function drawRegistries(y) {
  const most = Math.max(2, ...divergence.map(({ values }) => values[0]));
  const height = (states) => Math.sqrt((states - 1) / (most - 1)) * (CURVE - 4);
  const parts = [label(8, y + 11, "registries"), label(8, y + 24, `1 to ${most} different`, { class: "soft", "font-size": 9.5 })];
  parts.push(shape("path", { d: `M${GUTTER} ${y + CURVE}h${plotWidth()}`, stroke: "var(--line)" }));
  for (const event of rows[ROWS.registries]) {
    const states = divergence[rows[ROWS.registries].indexOf(event)].values[0];
    const high = height(states);
    const box = bar(event.at, event.until, y + CURVE - high - 1.5, high + 1.5, { fill: states > 1 ? "var(--side3)" : "var(--good)", "fill-opacity": states > 1 ? 0.75 : 0.5 });
    if (box) parts.push(mark(event, event.say, box));
  }
  return parts;
}
