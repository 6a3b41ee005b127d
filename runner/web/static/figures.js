// Depth over time, percentiles, refusals by cause, endings.
import { theme } from "./bars.js";
import { $, arrange, el, say } from "./dom.js";

const MOST_POINTS = 600;
const LEAST_S = 60;
const HEIGHT = 170;

const points = [[], [], []]; // Seconds since 1970, waiting, running.
let view = null;
let chart = null;
let colours = null;

export async function start(of) {
  view = of;
  colours = theme();
  const { default: Plot } = await import("./uPlot.esm.js");
  chart = new Plot(options(Plot, $("depth").clientWidth), points, $("depth"));
  new ResizeObserver(([entry]) => chart.setSize({ width: entry.contentRect.width, height: HEIGHT })).observe($("depth"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    colours = theme();
    chart.redraw();
  });
  setInterval(sample, 1000);
}

function options(Plot, width) {
  const stepped = Plot.paths.stepped({ align: 1 });
  const axis = { stroke: () => colours.soft, grid: { stroke: () => colours.rule, width: 1 }, ticks: { show: false }, font: "12px sans-serif" };
  const whole = { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000], size: 44 };
  return {
    width,
    height: HEIGHT,
    cursor: { y: false, points: { show: false } },
    scales: { x: { range: () => period() }, y: { range: (_, __, most) => [0, Math.max(5, (most ?? 0) * 1.1)] } },
    axes: [{ ...axis, values: (_, ticks) => ticks.map(clock), space: 70 }, { ...axis, ...whole }],
    series: [
      { label: "At", value: (_, at) => (at ? clock(at) : "–") },
      { label: "wait", stroke: () => colours.waiting, width: 2, dash: [6, 3], paths: stepped, points: { show: false } },
      { label: "run", stroke: () => colours.running, width: 2, paths: stepped, points: { show: false } },
    ],
  };
}

/** What the chart shows. uPlot's own idea of one point is a thousand days. */
function period() {
  const last = points[0].at(-1) ?? Date.now() / 1000;
  return [Math.min(points[0][0] ?? last, last - LEAST_S), last];
}

const clock = (at) => new Date(at * 1000).toLocaleTimeString([], { hourCycle: "h23" });

function sample() {
  const { waiting, running } = view.system ?? view.load;
  const told = [Date.now() / 1000, waiting, running];
  points.forEach((of, at) => {
    of.push(told[at]);
    if (of.length > MOST_POINTS) of.shift();
  });
  if (!document.hidden) chart.setData(points);
}

export function changed() {
  say($("whose-turns"), view.system ? "Turns of all processes" : "Turns");
  const { wait_s, run_s, refused = {}, ended = {} } = view.figures;
  for (const [name, told] of [["wait", wait_s], ["run", run_s]]) {
    const cells = document.querySelectorAll(`#percentiles tr[data-of=${name}] td`);
    ["p50", "p95", "p99"].forEach((key, at) => say(cells[at], told ? figure(told[key]) : "–"));
  }
  list("refusals", "cause", refused);
  list("ended", "state", ended);
}

const figure = (value) => (value === null || value === undefined ? "–" : value < 10 ? value.toFixed(2) : value.toFixed(1));

function list(id, name, told) {
  const found = Object.entries(told).filter(([, count]) => count);
  const known = new Map([...$(id).children].map((node) => [node.dataset[name], node]));
  const nodes = found.sort(([, one], [, other]) => other - one).map(([key, count]) => {
    const node = known.get(key) ?? el("div", { data: { [name]: key } }, el("dt", {}, key.replaceAll("-", " ")), el("dd"));
    say(node.lastChild, count.toLocaleString("en"));
    return node;
  });
  arrange($(id), nodes);
  $(`${id}-none`).hidden = nodes.length > 0;
}
