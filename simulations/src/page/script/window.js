// The window: which part of the run is shown, and where a moment lies in it.

const GUTTER = 92;
const RIGHT = 14;
const SHORTEST = 500;

const shown = { from: 0, until: run.end, width: 800 };

function plotWidth() {
  return shown.width - GUTTER - RIGHT;
}

function x(at) {
  return GUTTER + ((at - shown.from) / (shown.until - shown.from)) * plotWidth();
}

function momentAt(px) {
  return shown.from + ((px - GUTTER) / plotWidth()) * (shown.until - shown.from);
}

function isShown(from, until = from) {
  return until >= shown.from && from <= shown.until;
}

function show(from, until) {
  const length = Math.min(Math.max(until - from, SHORTEST), run.end);
  shown.from = Math.min(Math.max(from, 0), run.end - length);
  shown.until = shown.from + length;
  redraw();
}

/** Shows `factor` times as much, with `around` where it was. */
function zoom(factor, around = (shown.from + shown.until) / 2) {
  const before = shown.until - shown.from;
  const after = Math.min(Math.max(before * factor, SHORTEST), run.end);
  const from = around - ((around - shown.from) / before) * after;
  show(from, from + after);
}

function pan(share) {
  const by = (shown.until - shown.from) * share;
  show(shown.from + by, shown.until + by);
}

function showWhole() {
  show(0, run.end);
}

/** Zooms in on a moment; farther if it is looked at from nearby. */
function lookAt(at, until = at) {
  const length = Math.max((until - at) * 1.4, Math.min((shown.until - shown.from) / 5, 10e6), SHORTEST);
  const middle = (at + until) / 2;
  show(middle - length / 2, middle + length / 2);
}

/** Moves the window, if need be, so that a moment is in it. */
function reveal(at) {
  if (isShown(at)) return;
  const length = shown.until - shown.from;
  show(at - length / 2, at + length / 2);
}

/** Round moments for the axis, `wanted` or a few less. */
function ticks(wanted) {
  const rough = (shown.until - shown.from) / wanted;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const decimal = [1, 2, 5, 10].map((n) => n * unit);
  const sexagesimal = [15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600].map((s) => s * 1e6);
  const steps = rough > 10e6 ? sexagesimal : decimal;
  const step = steps.find((step) => step >= rough) ?? decimal.find((step) => step >= rough);
  const found = [];
  for (let at = Math.ceil(shown.from / step) * step; at <= shown.until; at += step) found.push(at);
  return found;
}
