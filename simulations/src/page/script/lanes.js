// One lane per node: its process, what it takes the others for, and its packets.

const MANY = run.shares;
const HEAD = MANY ? 1 : 12;
const PROCESS = 9;
const STRIPE = MANY ? 13 : run.hosts <= 8 ? 7 : 4;
const RAIL = MANY ? 12 : 20;
const STRIPES = MANY ? STRIPE : STRIPE * (run.hosts - 1);
const LANE = HEAD + PROCESS + 4 + STRIPES + RAIL + 5;

function laneTop(host, top) {
  return top + host * LANE;
}

/** Where a lane's packets come from and go to. */
function railOf(host, top) {
  return laneTop(host, top) + HEAD + PROCESS + 4 + STRIPES + RAIL / 2;
}

function drawLane(host, top) {
  const y = laneTop(host, top);
  const parts = [shape("path", { d: `M0 ${y - 2}H${shown.width}`, stroke: "var(--line)" })];
  parts.push(label(8, y + HEAD + 9, node(host), { "font-weight": 700, "font-size": 13 }));
  const sides = drawSides(host, y);
  parts.push(...sides.flatMap(({ made }) => made));
  parts.push(...drawProcess(host, y + HEAD));
  parts.push(...(MANY ? drawShares(host, y + HEAD + PROCESS + 4) : drawViews(host, y + HEAD + PROCESS + 4)));
  if (!packetsFit()) parts.push(...drawStrip(host, railOf(host, top)));
  parts.push(...drawMarks(host, y, sides.map(({ room }) => room)));
  return parts;
}

/** A tint and a letter over the time in which the node is on a side. */
function drawSides(host, y) {
  return run.splits.flatMap((split, nth) => {
    const before = run.splits[nth - 1];
    const side = split.sides.findIndex((side) => side.includes(host));
    const tint = side === -1 ? null : bar(split.from, split.until, y, LANE - 3, { fill: sideColour(side), "fill-opacity": 0.1, "pointer-events": "none" });
    if (!tint) return [];
    const px = Math.max(x(split.from), GUTTER) + 3;
    const goesOn = before?.until === split.from && before.sides[side]?.includes(host) && isShown(before.from, before.until);
    const words = MANY || goesOn || x(split.until) - px < 34 ? "" : `side ${sideLetter(side)}`;
    const letter = label(px, y + 10, words, { style: `fill:${sideColour(side)};font-weight:700`, "font-size": 10, "pointer-events": "none" });
    return [{ made: [tint, letter], room: [px, px + words.length * 6.2] }];
  });
}

function drawProcess(host, y) {
  const process = run.processes[host];
  if (process.begun === null) return [label(GUTTER, y + 8, "never started", { class: "soft" })];
  const parts = [saying(`${node(host)} runs`, bar(process.begun, run.end, y, PROCESS, { fill: "var(--run)" }))];
  for (const event of rows[ROWS.lanes + host].filter((event) => event.kind === "out")) {
    const fill = event.paused ? "url(#hatch-pause)" : "var(--gone)";
    const under = bar(event.at, event.until, y, PROCESS, { fill: "var(--gone)" });
    const box = bar(event.at, event.until, y, PROCESS, { fill, stroke: "var(--soft)", "stroke-width": 0.75 });
    if (box) parts.push(mark(event, event.say, under, box));
  }
  for (const event of rows[ROWS.lanes + host].filter((event) => event.kind === "island")) {
    const box = bar(event.at, event.until, y + PROCESS + 0.5, 2.5, { fill: "var(--bad)" });
    if (box) parts.push(mark(event, event.say, box));
  }
  return parts;
}

/** One stripe per other node. */
function drawViews(host, y) {
  const others = views[host].map((seen, of) => ({ seen, of })).filter(({ of }) => of !== host);
  return others.flatMap(({ seen, of }, nth) => {
    const top = y + nth * STRIPE;
    const name = STRIPE >= 7 ? [label(GUTTER - 4, top + 6.5, node(of), { "text-anchor": "end", class: "soft", "font-size": 7.5 })] : [];
    const boxes = seen.map(({ from, until, values }) => {
      const status = STATUS[values[0] % 8];
      if (status === "unknown") return null;
      const words = `${node(host)} takes ${node(of)} for ${status}\nfrom ${clock(from)} to ${clock(until)}\nits records: ${OVERLAY[values[0] >> 3]}`;
      return saying(words, bar(from, until, top, STRIPE - 1, { fill: statusColour(status) }));
    });
    return [...name, ...boxes];
  });
}

function statusColour(status) {
  return `var(--${status === "restarting" ? "left" : status})`;
}

/** Of many nodes: how many are taken for what. */
function drawShares(host, y) {
  const all = run.hosts - 1;
  return views[host][0].flatMap(({ from, until, values }) => {
    const [alive, suspect, down] = values;
    const words = `${node(host)} takes ${alive} for alive, ${suspect} for suspect, ${down} for down or gone\nfrom ${clock(from)} to ${clock(until)}`;
    let top = y;
    return [[alive, "alive"], [suspect, "suspect"], [down, "down"]].map(([count, status]) => {
      const high = (count / all) * (STRIPE - 1);
      const box = high > 0 ? bar(from, until, top, high, { fill: statusColour(status) }) : null;
      top += high;
      return saying(words, box);
    });
  });
}

/** A busy slice; the few that are busier, as when all start at once, would make the rest vanish. */
const busy = quantile([...run.counts.taken.flat(), ...run.counts.stopped.flat()].filter((count) => count > 0), 0.97);

function quantile(counts, share) {
  return counts.sort((a, b) => a - b)[Math.floor(counts.length * share)] ?? 1;
}

/** Packets counted: taken upwards, stopped on their way out downwards. */
function drawStrip(host, rail) {
  const { slice, taken, stopped } = run.counts;
  const high = (count) => Math.min(1, Math.sqrt(count / busy)) * (RAIL / 2 - 1);
  const parts = [];
  const first = Math.max(0, Math.floor(shown.from / slice));
  const last = Math.min(taken[host].length - 1, Math.floor(shown.until / slice));
  for (let nth = first; nth <= last; nth++) {
    const [from, until] = [nth * slice, Math.min((nth + 1) * slice, run.end)];
    const words = `${node(host)}, ${clock(from)} to ${clock(until)}:\n${taken[host][nth]} packets taken, ${stopped[host][nth]} stopped on their way out`;
    const up = high(taken[host][nth]);
    const down = high(stopped[host][nth]);
    if (up > 0) parts.push(saying(words, bar(from, until, rail - up, up, { fill: "var(--taken)" })));
    if (down > 0) parts.push(saying(words, bar(from, until, rail, down, { fill: "var(--stopped)" })));
  }
  return parts;
}

const MARKS = {
  down: (px, y) => shape("path", { d: `M${px - 4} ${y - 1}h8l-4 8z`, fill: "var(--bad)" }),
  call: (px, y) => shape("path", { d: `M${px} ${y}v${PROCESS}`, stroke: "var(--good)", "stroke-width": 1.6 }),
  open: (px, y) => shape("path", { d: `M${px} ${y}v${PROCESS}`, stroke: "var(--fault)", "stroke-width": 2.4 }),
  refused: (px, y) => shape("path", { d: `M${px - 3} ${y + 1}l6 6m0 -6l-6 6`, stroke: "var(--bad)", "stroke-width": 1.8 }),
  note: (px, y) => shape("path", { d: `M${px} ${y}l4 4.5l-4 4.5l-4 -4.5z`, fill: "var(--side0)", stroke: "var(--paper)", "stroke-width": 0.8 }),
};

function drawMarks(host, y, taken) {
  const events = rows[ROWS.lanes + host];
  const parts = [];
  for (const kind of ["call", "open", "refused", "note", "down"]) {
    const px = kind === "call" ? 2 : 9;
    for (const cluster of clustered(events.filter((event) => event.kind === kind), px)) {
      const at = x(cluster[0].at);
      parts.push(mark(cluster[0], clusterWords(cluster), MARKS[kind](at, y + HEAD)));
    }
  }
  return MANY ? parts : [...parts, ...drawDownLabels(events, y, taken)];
}

/** Behind declarations that are close to each other: of whom. What finds no room is left to the tip. */
function drawDownLabels(events, y, taken) {
  return clustered(events.filter((event) => event.kind === "down"), 60).map((cluster) => {
    const of = cluster.map((event) => node(event.of)).join(" ");
    const words = cluster.length > 6 ? `${cluster.length} declared down` : `${of} declared down`;
    const px = roomFrom(x(cluster.at(-1).at) + 7, words.length * 6.4, taken);
    return px === null ? null : label(px, y + 10, words, { class: "bad", "font-size": 10 });
  });
}

/** The first place from `px` on, not far from it, where nothing of that width is written; it is then taken. */
function roomFrom(px, width, taken) {
  let left = px;
  for (const [from, until] of taken.toSorted((a, b) => a[0] - b[0])) {
    if (left < until && from < left + width) left = until + 6;
  }
  if (left > px + 90) return null;
  taken.push([left, left + width]);
  return left;
}
