// Single packets, as arrows between lanes. There can be tens of thousands, so they are painted.

/** Packets that are drawn one by one: so many per pixel that each can be told from the next. */
const DENSITY = 0.55;
const canvas = document.getElementById("packets");
const brush = canvas.getContext("2d");
const hidden = new Set();
let drawn = [];
let chosen = -1;

/** The longest way of any packet: one that was sent so long before the window may end in it. */
const longest = packets.took.reduce((most, took) => Math.max(most, took ?? 0), 0);

/** The packets whose way lies in the window, as far as their kind is wanted. */
function packetsShown() {
  const first = lowerBound(packets.sent, shown.from - longest);
  const last = lowerBound(packets.sent, shown.until);
  const found = [];
  for (let p = first; p < last && found.length <= fit(); p++) {
    const arrived = packets.sent[p] + (packets.took[p] ?? 0);
    if (arrived >= shown.from && !hidden.has(run.kinds[packets.kind[p]][1])) found.push(p);
  }
  return found;
}

function fit() {
  return plotWidth() * DENSITY;
}

function packetsFit() {
  return drawn.length <= fit();
}

function paintPackets(top, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = shown.width * ratio;
  canvas.height = height * ratio;
  canvas.style.width = shown.width + "px";
  canvas.style.height = height + "px";
  brush.setTransform(ratio, 0, 0, ratio, 0, 0);
  if (!packetsFit()) return;
  brush.save();
  brush.beginPath();
  brush.rect(GUTTER, 0, plotWidth(), height);
  brush.clip();
  const colours = run.groups.map((_, group) => css(`--group${group}`));
  for (const p of drawn) paintPacket(p, top, colours);
  brush.restore();
}

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Where a packet's way begins and ends on the page. */
function wayOf(p, top) {
  const arrived = packets.took[p] === null ? null : packets.sent[p] + packets.took[p];
  const [y1, y2] = [railOf(packets.from[p], top), railOf(packets.to[p], top)];
  const x1 = x(packets.sent[p]);
  if (arrived !== null) return { x1, y1, x2: x(arrived), y2 };
  // It never came: it is drawn a part of the way.
  return { x1, y1, x2: x1 + 8, y2: y1 + (y2 - y1) * 0.35 };
}

function paintPacket(p, top, colours) {
  const { x1, y1, x2, y2 } = wayOf(p, top);
  const delivered = packets.fate[p] === 0;
  brush.strokeStyle = brush.fillStyle = colours[run.kinds[packets.kind[p]][1]];
  brush.lineWidth = p === chosen ? 3 : 1;
  brush.setLineDash(delivered ? [] : [4, 3]);
  brush.beginPath();
  brush.moveTo(x1, y1);
  brush.lineTo(x2, y2);
  brush.stroke();
  brush.setLineDash([]);
  if (delivered) paintHead(x1, y1, x2, y2);
  else paintCross(x2, y2);
}

function paintHead(x1, y1, x2, y2) {
  const angle = Math.atan2(y2 - y1, x2 - x1);
  brush.beginPath();
  brush.moveTo(x2, y2);
  for (const turn of [-0.4, 0.4]) brush.lineTo(x2 - 7 * Math.cos(angle + turn), y2 - 7 * Math.sin(angle + turn));
  brush.closePath();
  brush.fill();
}

function paintCross(px, y) {
  brush.beginPath();
  brush.moveTo(px - 3, y - 3);
  brush.lineTo(px + 3, y + 3);
  brush.moveTo(px + 3, y - 3);
  brush.lineTo(px - 3, y + 3);
  brush.stroke();
}

/** The packet whose way passes a point most closely, if one passes closely. */
function packetAt(px, y, top) {
  if (!packetsFit()) return -1;
  let best = -1;
  let closest = 5;
  for (const p of drawn) {
    const distance = distanceTo(wayOf(p, top), px, y);
    if (distance < closest) [best, closest] = [p, distance];
  }
  return best;
}

function distanceTo({ x1, y1, x2, y2 }, px, y) {
  const length = (x2 - x1) ** 2 + (y2 - y1) ** 2;
  const along = length === 0 ? 0 : Math.min(1, Math.max(0, ((px - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / length));
  return Math.hypot(px - x1 - along * (x2 - x1), y - y1 - along * (y2 - y1));
}
