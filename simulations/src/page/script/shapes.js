// Shapes of the drawing. A shape that lies outside the window is not made.

const SVG = "http://www.w3.org/2000/svg";

function shape(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function label(px, y, words, attributes = {}) {
  const made = shape("text", { x: px, y, ...attributes });
  made.textContent = words;
  return made;
}

/** A bar from one moment to another, cut at the window's edges. */
function bar(from, until, y, height, attributes) {
  if (!isShown(from, until)) return null;
  const left = Math.max(x(from), GUTTER);
  const right = Math.min(x(until), GUTTER + plotWidth());
  return shape("rect", { x: left, y, width: Math.max(right - left, 0.75), height, ...attributes });
}

/** What is told when it is pointed at. */
function saying(words, made) {
  if (made) made.dataset.say = words;
  return made;
}

/** A mark that can be focused. `event` is told, and where it is found in its row. */
function mark(event, words, ...children) {
  return saying(
    words,
    shape("g", { tabindex: -1, role: "img", "aria-label": words, "data-row": event.row, "data-at": event.at }, ...children),
  );
}

/** Words in a box of that width, if they fit more or less. */
function fitted(words, px, y, room, attributes = {}) {
  const letters = Math.floor(room / 5.9);
  if (letters < 3) return null;
  const cut = words.length > letters ? words.slice(0, letters - 1) + "…" : words;
  return label(px, y, cut, { "pointer-events": "none", ...attributes });
}

function hatching() {
  const lines = (id, colour, width) =>
    shape(
      "pattern",
      { id, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      shape("rect", { width: 6, height: 6, fill: colour, "fill-opacity": 0.18 }),
      shape("rect", { width, height: 6, fill: colour }),
    );
  return shape("defs", {}, lines("hatch-fault", "var(--fault)", 1.6), lines("hatch-pause", "var(--soft)", 2));
}

/** Events that lie closer than `px` to each other, drawn as one. */
function clustered(events, px) {
  const clusters = [];
  for (const event of events.filter((event) => isShown(event.at))) {
    const last = clusters.at(-1);
    if (last && x(event.at) - x(last.at(-1).at) < px && last[0].kind === event.kind) last.push(event);
    else clusters.push([event]);
  }
  return clusters;
}

function clusterWords(cluster) {
  const named = cluster.slice(0, 12).map((event) => event.say);
  if (cluster.length > 12) named.push(`and ${cluster.length - 12} more`);
  return named.join("\n");
}
