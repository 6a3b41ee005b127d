// The last 60 seconds: one lane for each conversation.
import { NAMES, STATES, drawBar, prepare, sample, shown, theme } from "./bars.js";
import { $, el, isCalm, say } from "./dom.js";
import { Lanes } from "./lanes.js";
import { WINDOW_S } from "./view.js";
import { counts, many } from "./words.js";

const ROW = 12; // Pixels, with the gap.
const BAR = 8;
const LABEL = 18;
const BETWEEN = 12;
const AXIS = 20;
const LEAST = 150;
const EDGE = 6;
const FRAME_MS = 50;
const CALM_MS = 1000;

const canvas = $("timeline-canvas");
const lanes = new Lanes();
let view = null;
let colours = null;
let laid = { shown: [], hidden: 0 };
let width = 0;
let drawn_at = 0;
let isAsked = false;

export function start(of) {
  view = of;
  $("legend").append(...STATES.map((state) => el("li", {}, sample(state), NAMES[state])));
  colours = theme();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    colours = theme();
    draw();
  });
  new ResizeObserver(([entry]) => {
    width = entry.contentRect.width;
    draw();
  }).observe(canvas.parentElement);
}

/** The view has changed. */
export function changed() {
  laid = lanes.of(view);
  $("timeline-more").hidden = !laid.hidden;
  say($("timeline-more"), `and ${many(laid.hidden, "more conversation")}`);
  canvas.dataset.lanes = laid.shown.length;
  canvas.setAttribute("aria-label", summary());
  go();
}

function summary() {
  const found = new Map();
  for (const turn of view.turns.values()) found.set(shown(turn.state), (found.get(shown(turn.state)) ?? 0) + 1);
  if (!found.size) return "Nothing happened in the last 60 seconds.";
  const words = { ...NAMES, waiting: "waiting", running: "running" };
  const said = STATES.filter((state) => found.has(state)).map((state) => `${found.get(state)} ${words[state]}`);
  return `${many(laid.shown.length + laid.hidden, "conversation")}: ${said.join(", ")}`;
}

/** Draw from now on, until nothing moves any more. */
function go() {
  if (isAsked) return;
  isAsked = true;
  requestAnimationFrame((now) => {
    isAsked = false;
    if (now - drawn_at >= (isCalm() ? CALM_MS : FRAME_MS)) {
      drawn_at = now;
      draw();
    }
    if (view.turns.size && isInWindow()) go();
  });
}

function isInWindow() {
  const first = view.now() - WINDOW_S - 1;
  for (const turn of view.turns.values()) if (!turn.ended_at || turn.ended_at > first) return true;
  return false;
}

function draw() {
  if (!width) return;
  const inside = laid.shown.reduce((sum, lane) => sum + LABEL + lane.rows * ROW + BETWEEN, 0);
  const height = Math.max(LEAST, inside + AXIS);
  const context = prepare(canvas, width, height);
  const now = view.now();
  const x = (at) => EDGE + Math.max(0, (1 - (now - at) / WINDOW_S) * (width - 3 * EDGE));
  context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  drawAxis(context, x, now, height);
  let y = 0;
  for (const lane of laid.shown) {
    drawLane(context, lane, x, now, y);
    y += LABEL + lane.rows * ROW + BETWEEN;
  }
  if (!laid.shown.length) drawNothing(context, height);
}

function drawAxis(context, x, now, height) {
  context.strokeStyle = colours.rule;
  context.lineWidth = 1;
  context.fillStyle = colours.soft;
  for (const ago of [60, 45, 30, 15, 0]) {
    const at = Math.round(x(now - ago)) + 0.5;
    context.beginPath();
    context.moveTo(at, 0);
    context.lineTo(at, height - AXIS);
    if (ago < 60 && laid.shown.length) context.stroke();
    context.textAlign = ago === 60 ? "left" : ago === 0 ? "right" : "center";
    context.fillText(ago === 0 ? "now" : `${ago} s ago`, ago === 0 ? width : at, height - 5);
  }
}

function drawLane(context, lane, x, now, y) {
  const living = lane.turns.filter((turn) => !turn.ended_at);
  const told = view.lines.get(lane.turns[0].key);
  const running = living.filter((turn) => turn.state !== "waiting").length;
  const said = counts(running, told?.waiting ?? 0);
  const name = [lane.caller, lane.conversation].filter(Boolean).join(" / ");
  context.textAlign = "left";
  context.font = `600 12px ${getComputedStyle(document.body).fontFamily}`;
  context.fillStyle = colours.ink;
  const label = clipped(name, 40);
  context.fillText(label, EDGE, y + 13);
  const after = EDGE + context.measureText(label).width + 10;
  context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  context.fillStyle = colours.soft;
  if (said) context.fillText(said, after, y + 13);
  for (const turn of lane.turns) {
    if (turn.row !== undefined) drawTurn(context, turn, x, now, y + LABEL + turn.row * ROW);
  }
}

function drawTurn(context, turn, x, now, y) {
  const { state, from, started_at, ended_at } = turn;
  if (ended_at && ended_at < now - WINDOW_S) return;
  const xs = started_at ? x(started_at) : null;
  drawBar(context, colours, { state, x0: x(from), xs, x1: x(ended_at ?? now), y, height: BAR });
}

function drawNothing(context, height) {
  context.textAlign = "center";
  context.fillStyle = colours.soft;
  context.fillText("Nothing happened in the last 60 seconds.", width / 2, (height - AXIS) / 2);
}

const clipped = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
