// The page: draws on demand, tells what is pointed at or focused, and listens to keys and pointer.

const chart = document.getElementById("chart");
const plot = document.getElementById("plot");
const tip = document.getElementById("tip");
const help = document.getElementById("help");
let lanesTop = 0;
let focus = { row: ROWS.network, at: null };
let wanted = false;

function redraw() {
  if (wanted) return;
  wanted = true;
  requestAnimationFrame(() => {
    wanted = false;
    draw();
  });
}

function draw() {
  shown.width = chart.clientWidth;
  drawn = packetsShown();
  const top = AXIS + TAGS + 4;
  const faults = drawFaults(top + BAR + 4);
  const registries = top + BAR + 4 + faults.height;
  lanesTop = registries + CURVE + 8;
  const height = lanesTop + run.hosts * LANE + 4;
  const lanes = Array.from({ length: run.hosts }, (_, host) => drawLane(host, lanesTop)).flat();
  const parts = [hatching(), ...drawAxis(0, height), ...drawNetwork(top), ...faults.parts, ...drawRegistries(registries), ...lanes, ...drawTurns(AXIS, height)];
  const focused = chart.contains(document.activeElement);
  plot.setAttribute("width", shown.width);
  plot.setAttribute("height", height);
  plot.replaceChildren(...parts.filter(Boolean));
  paintPackets(lanesTop, height);
  describeWindow();
  if (focused) restoreFocus();
}

function describeWindow() {
  const packetsAre = packetsFit() ? `${drawn.length} packets drawn` : "packets counted; zoom in to see each";
  document.getElementById("window").textContent = `${clock(shown.from)} to ${clock(shown.until)} · ${packetsAre}`;
}

// What is told.

function tell(words, px, y) {
  tip.textContent = words;
  tip.hidden = false;
  const left = Math.min(px + 14, shown.width - tip.offsetWidth - 4);
  const below = y + 16 + tip.offsetHeight < chart.clientHeight;
  tip.style.left = Math.max(0, left) + "px";
  tip.style.top = (below ? y + 16 : Math.max(0, y - tip.offsetHeight - 10)) + "px";
}

function untell() {
  tip.hidden = true;
}

function speak(words) {
  document.getElementById("spoken").textContent = words;
}

function point(event) {
  const box = chart.getBoundingClientRect();
  const [px, y] = [event.clientX - box.left, event.clientY - box.top];
  const packet = packetAt(px, y, lanesTop);
  if (packet !== chosen) {
    chosen = packet;
    paintPackets(lanesTop, plot.height.baseVal.value);
  }
  const said = event.target.closest?.("[data-say]")?.dataset.say;
  if (packet !== -1) tell(packetWords(packet), px, y);
  else if (said) tell(said, px, y);
  else if (px > GUTTER) tell(clockFine(Math.round(momentAt(px))), px, y);
  else untell();
}

// Focus: a row and a moment in it. Marks are made anew with each drawing.

function marksOf(row) {
  return [...plot.querySelectorAll(`[data-row="${row}"]`)].sort((a, b) => a.dataset.at - b.dataset.at);
}

function restoreFocus() {
  const found = focus.at === null ? undefined : markFor(focus.row, focus.at);
  if (found) focusMark(found);
  else chart.focus({ preventScroll: true });
}

/** The mark that stands for a moment of a row: its own, or the one that it is drawn together with. */
function markFor(row, at) {
  return marksOf(row).filter((mark) => Number(mark.dataset.at) <= at).at(-1);
}

function focusMark(found) {
  focus = { row: Number(found.dataset.row), at: Number(found.dataset.at) };
  found.focus({ preventScroll: true });
  const [box, around] = [found.getBoundingClientRect(), chart.getBoundingClientRect()];
  tell(found.dataset.say, Math.max(box.left - around.left, GUTTER), box.top - around.top + box.height / 2);
  speak(found.dataset.say);
  found.scrollIntoView({ block: "nearest" });
}

/** The next or previous event of the row that is not drawn as one with the focused one. */
function step(direction) {
  const row = rows[focus.row];
  const at = focus.at ?? (direction > 0 ? shown.from - 1 : shown.until + 1);
  const visible = marksOf(focus.row).map((mark) => Number(mark.dataset.at));
  const drawnNext = direction > 0 ? visible.find((moment) => moment > at) : visible.filter((moment) => moment < at).at(-1);
  const next = direction > 0 ? row.find((event) => event.at > at) : row.filter((event) => event.at < at).at(-1);
  const target = drawnNext ?? next?.at;
  if (target === undefined) return;
  focus.at = target;
  reveal(target);
  draw();
  const found = markFor(focus.row, target);
  if (found) focusMark(found);
}

function changeRow(direction) {
  let row = focus.row;
  do row += direction;
  while (rows[row] && rows[row].length === 0);
  if (!rows[row]) return;
  const middle = (shown.from + shown.until) / 2;
  focus = { row, at: focus.at ?? middle };
  const marks = marksOf(row);
  const near = (mark) => Math.abs(Number(mark.dataset.at) - focus.at);
  const closest = marks.sort((a, b) => near(a) - near(b))[0];
  if (closest) focusMark(closest);
  else step(1);
}

function enter() {
  const event = rows[focus.row].find((event) => event.at === focus.at);
  if (event) lookAt(event.at, event.until ?? event.at);
}

/** The next or previous packet of the focused node. */
function stepPacket(direction) {
  const host = focus.row - ROWS.lanes;
  const own = drawn.filter((p) => host < 0 || packets.from[p] === host || packets.to[p] === host);
  if (!packetsFit() || own.length === 0) return speak("no single packets here; zoom in");
  const at = own.indexOf(chosen);
  chosen = own[at === -1 ? 0 : Math.min(Math.max(at + direction, 0), own.length - 1)];
  paintPackets(lanesTop, plot.height.baseVal.value);
  const { x1, y1, x2, y2 } = wayOf(chosen, lanesTop);
  tell(packetWords(chosen), (x1 + x2) / 2, (y1 + y2) / 2);
  speak(packetWords(chosen));
}

const KEYS = {
  ArrowRight: () => step(1),
  ArrowLeft: () => step(-1),
  ArrowDown: () => changeRow(1),
  ArrowUp: () => changeRow(-1),
  Enter: enter,
  "+": () => zoom(0.5, focus.at ?? undefined),
  "=": () => zoom(0.5, focus.at ?? undefined),
  "-": () => zoom(2),
  0: showWhole,
  ".": () => stepPacket(1),
  ",": () => stepPacket(-1),
};

function press(event) {
  if (help.open || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "?") return help.showModal();
  if (!chart.contains(document.activeElement) && document.activeElement !== document.body) return;
  const panned = event.shiftKey && { ArrowLeft: -0.25, ArrowRight: 0.25 }[event.key];
  if (panned) pan(panned);
  else if (KEYS[event.key]) KEYS[event.key]();
  else return;
  event.preventDefault();
}

// The pointer: drag moves, the wheel zooms with Ctrl.

function drag(event) {
  if (event.button !== 0) return;
  const [start, from, until] = [event.clientX, shown.from, shown.until];
  const move = (moved) => {
    if (Math.abs(moved.clientX - start) < 3) return;
    chart.classList.add("dragging");
    const by = ((start - moved.clientX) / plotWidth()) * (until - from);
    show(from + by, until + by);
  };
  const stop = () => {
    chart.classList.remove("dragging");
    removeEventListener("pointermove", move);
  };
  addEventListener("pointermove", move);
  addEventListener("pointerup", stop, { once: true });
}

function wheel(event) {
  if (!event.ctrlKey && !event.metaKey) return;
  event.preventDefault();
  zoom(event.deltaY > 0 ? 1.25 : 0.8, momentAt(event.clientX - chart.getBoundingClientRect().left));
}

function click(event) {
  const found = event.target.closest?.("[data-row]");
  if (found) focusMark(found);
}

// The legend: what is what, and which packets are wanted.

function legend() {
  const parts = [];
  const sign = (colour, words) => parts.push(signed(document.createElement("label"), colour, words));
  sign("var(--run)", "runs");
  for (const status of ["alive", "suspect", "down"]) sign(statusColour(status), `seen as ${status}`);
  sign("var(--left)", "left, restarting");
  sign("var(--bad)", "▼ declares down, ▬ cut off");
  document.getElementById("signs").append(...parts);
  document.getElementById("kinds").append("packets: ", ...run.groups.map(choice));
  parts.length = 0;
  sign("var(--taken)", "taken");
  sign("var(--stopped)", "stopped on their way out");
  document.getElementById("kinds").append("counted: ", ...parts);
}

function signed(made, colour, words) {
  const swatch = document.createElement("span");
  swatch.className = "swatch";
  swatch.style.background = colour;
  made.append(swatch, words);
  return made;
}

function choice(words, group) {
  const made = document.createElement("label");
  const box = document.createElement("input");
  box.type = "checkbox";
  box.checked = true;
  box.addEventListener("change", () => {
    if (box.checked) hidden.delete(group);
    else hidden.add(group);
    redraw();
  });
  made.append(box);
  made.title = words[1];
  return signed(made, `var(--group${group})`, words[0]);
}

/** A link to a part of the run: `page.html#18.5-24` shows these seconds. */
function showAsked() {
  const [from, until] = location.hash.slice(1).split("-").map((seconds) => Number(seconds) * 1e6);
  if (until > from) show(from, until);
}

function listen() {
  document.getElementById("zoom-in").onclick = () => zoom(0.5);
  document.getElementById("zoom-out").onclick = () => zoom(2);
  document.getElementById("whole").onclick = showWhole;
  document.getElementById("help-open").onclick = () => help.showModal();
  for (const button of document.querySelectorAll(".at[data-at]")) {
    button.onclick = () => lookAt(Number(button.dataset.at));
  }
  addEventListener("keydown", press);
  addEventListener("resize", redraw);
  addEventListener("hashchange", showAsked);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  chart.addEventListener("pointermove", point);
  chart.addEventListener("pointerleave", untell);
  chart.addEventListener("pointerdown", drag);
  chart.addEventListener("click", click);
  chart.addEventListener("dblclick", (event) => zoom(0.4, momentAt(event.clientX - chart.getBoundingClientRect().left)));
  chart.addEventListener("wheel", wheel, { passive: false });
}

legend();
listen();
showAsked();
draw();
