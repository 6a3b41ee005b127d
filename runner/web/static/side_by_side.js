// The same five messages through each strategy and through none, drawn beside each other.
import { drawBar, prepare, theme } from "./bars.js";
import { $, el, isCalm, say } from "./dom.js";
import { ask, Problem } from "./server.js";
import { events } from "./stream.js";
import { ordinal, problemText, seconds } from "./words.js";

const ROW = 18;
const BAR = 9;
const LEFT = 16;
const AXIS = 16;
const LEAST_S = 3;

let arrangements = new Map(); // By name: {node, canvas, told, verdict, lanes, isEnded}.
let began = 0;
let span_s = LEAST_S;
let isRunning = false;

export function start() {
  $("compare-start").addEventListener("click", run);
  new ResizeObserver(() => drawAll()).observe($("arrangements"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
}

async function run() {
  const button = $("compare-start");
  if (button.ariaDisabled === "true") return;
  button.ariaDisabled = "true"; // Not `disabled`, which would take the focus from it.
  say($("compare-status"), "starts");
  try {
    const headers = { Accept: "text/event-stream" };
    const response = await ask("POST", "view/side-by-side", { body: {}, headers });
    for await (const { kind, data } of events(response)) {
      if (data !== undefined) heard(kind, data);
    }
    if (isRunning) say($("compare-status"), "The stream was cut; run it again.");
  } catch (error) {
    const again = error.retry_after_s ? ` Try again in ${seconds(error.retry_after_s)}.` : "";
    say($("compare-status"), error instanceof Problem ? problemText(error) + again : "No connection to the server.");
  }
  isRunning = false;
  drawAll();
  button.ariaDisabled = "false";
}

function heard(kind, data) {
  if (kind === "begin") begin(data);
  if (kind === "lane") lane(data);
  if (kind === "end") end(data);
  if (kind === "done") done();
}

function begin({ arrangements: told, messages }) {
  arrangements = new Map(told.map((one) => [one.name, make(one, messages.length)]));
  $("arrangements").replaceChildren(...[...arrangements.values()].map(({ node }) => node));
  $("compare-messages").replaceChildren(...messages.map((message) => el("li", {}, message)));
  $("compare-messages").hidden = false;
  say($("compare-status"), "running; each sender has a lane of its own");
  began = performance.now();
  span_s = LEAST_S;
  isRunning = true;
  go();
}

function make({ name, about }, senders) {
  const canvas = el("canvas", { className: "lanes", role: "img", label: `Lanes of five senders under ${name}` });
  const told = el("ol", { className: "told" });
  for (let at = 0; at < senders; at++) told.append(el("li", { data: { sender: at } }));
  const verdict = el("p", { className: "verdict" });
  const title = name === "none" ? "no strategy" : name;
  const node = el("article", { className: "arrangement", data: { arrangement: name, state: "running" } },
    el("h3", {}, title), el("p", { className: "about soft" }, about.replaceAll("`", "")), canvas, told, verdict);
  const lanes = Array.from({ length: senders }, () => ({ state: null, from: null, started: null, ended: null }));
  return { name: title, node, canvas, told, verdict, lanes, isEnded: false };
}

function lane({ arrangement, sender, state, at, position, told, status }) {
  const of = arrangements.get(arrangement);
  const lane = of.lanes[sender];
  lane.from ??= at;
  lane.state = state;
  if (state === "running") lane.started ??= at;
  if (!["waiting", "running"].includes(state)) lane.ended = at;
  span_s = Math.max(span_s, at * 1.05);
  const item = of.told.children[sender];
  item.dataset.state = state;
  const where = state === "waiting" && position ? `${ordinal(position)} in line` : "";
  const code = status && status >= 400 ? `${status} ` : "";
  const cut = state === "interrupted" && told ? " … (cut off)" : "";
  say(item, told ? `${code}${told}${cut}` : where || { waiting: "waits", running: "runs" }[state] || state);
}

function end({ arrangement, verdict }) {
  const of = arrangements.get(arrangement);
  of.isEnded = true;
  of.node.dataset.state = "ended";
  say(of.verdict, verdict);
  of.canvas.setAttribute("aria-label", `${of.name}: ${of.lanes.map((one, at) => `sender ${at + 1} ${one.state}`).join(", ")}`);
}

function done() {
  isRunning = false;
  say($("compare-status"), "Done. Read across: who waited, who was refused, and what the history holds.");
}

function go() {
  drawAll();
  if (!isRunning) return;
  if (isCalm()) setTimeout(go, 500);
  else requestAnimationFrame(go);
}

function drawAll() {
  if (!arrangements.size) return;
  const colours = theme();
  const now_s = (performance.now() - began) / 1000;
  if (isRunning) span_s = Math.max(span_s, now_s);
  for (const of of arrangements.values()) draw(of, colours, now_s);
}

function draw({ canvas, lanes }, colours, now_s) {
  const width = canvas.clientWidth;
  if (!width) return;
  const context = prepare(canvas, width, lanes.length * ROW + AXIS);
  const x = (at) => LEFT + (at / span_s) * (width - LEFT - 12);
  context.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  context.fillStyle = colours.soft;
  context.strokeStyle = colours.rule;
  context.lineWidth = 1;
  for (let at = 0; at <= span_s; at++) {
    context.strokeRect(Math.round(x(at)) + 0.5, 0, 0, lanes.length * ROW);
    context.fillText(`${at} s`, x(at) - (at ? 8 : 0), lanes.length * ROW + 13);
  }
  lanes.forEach((lane, at) => {
    const y = at * ROW;
    context.fillStyle = colours.soft;
    context.fillText(`${at + 1}`, 2, y + 12);
    if (lane.from === null) return;
    const xs = lane.started === null ? null : x(lane.started);
    const x1 = x(lane.ended ?? now_s);
    drawBar(context, colours, { state: lane.state, x0: x(lane.from), xs, x1, y: y + 3, height: BAR });
  });
}
