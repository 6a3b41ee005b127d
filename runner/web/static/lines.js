// Who runs and who waits. At most 40 lines of about 20 turns each are ever in the document.
import { $, arrange, el, say } from "./dom.js";
import { ask } from "./server.js";
import { about, causeOf, counts, expected, many, ordinal, problemText } from "./words.js";

const lines = new Map(); // By key: the nodes of a line.
const rows = new Map(); // By the turn's id: its nodes.
let view = null;
let openInChat = null;

export function start(of, open) {
  view = of;
  openInChat = open;
  setInterval(tick, 1000);
}

export function changed() {
  const { waiting, running, fenced = 0, oldest_wait_s } = view.load;
  const held = fenced ? `${fenced} held by an agent that does not stop` : "";
  const oldest = waiting ? `the oldest for ${about(oldest_wait_s)}` : "";
  const own = [counts(running, waiting), oldest, held].filter(Boolean).join(" · ");
  say($("load"), view.system === undefined ? own : `accepted here: ${own || "none"}`);
  $("system").hidden = view.system === undefined;
  say($("system"), systemText(view.system));
  $("lines-empty").hidden = view.lines.size > 0;
  $("lines-more").hidden = !view.leftOut.lines;
  say($("lines-more"), `and ${many(view.leftOut.lines ?? 0, "more conversation")}`);
  for (const key of lines.keys()) if (!view.lines.has(key)) lines.delete(key);
  const focused = document.activeElement?.closest?.("#lines-list > .line");
  arrange($("lines-list"), [...view.lines].map(([key, line]) => lineNode(key, line)));
  if (focused?.isConnected === false) $("lines-title").focus({ preventScroll: true });
  const living = new Set([...view.lines.values()].flatMap(({ turns }) => turns.map(({ id }) => id)));
  for (const id of rows.keys()) if (!living.has(id)) rows.delete(id);
  tick();
}

/** What all processes do that serve the same store. */
function systemText(system) {
  if (!system) return "What the other processes do is not known: the store cannot be reached.";
  const { processes, running, waiting, slots, oldest_wait_s } = system;
  if (processes < 2) return "No other process serves this store now.";
  const said = [`In all ${processes} processes ${running} of ${slots} slots are in use`, waiting === 1 ? "1 waits" : `${waiting.toLocaleString("en")} wait`];
  if (waiting) said.push(`the oldest for ${about(oldest_wait_s)}`);
  return said.join(" · ");
}

function lineNode(key, line) {
  if (!lines.has(key)) lines.set(key, makeLine(line));
  const nodes = lines.get(key);
  say(nodes.counts, counts(line.running, line.waiting));
  const listed = line.turns.map((turn) => rowNode(turn));
  keepFocus(nodes.turns, listed);
  arrange(nodes.turns, listed);
  const more = line.waiting - line.turns.filter(({ state }) => state === "waiting").length;
  nodes.more.hidden = more <= 0;
  say(nodes.more, `and ${more.toLocaleString("en")} more`);
  return nodes.line;
}

function makeLine({ conversation, caller = "" }) {
  const said = el("span", { className: "line-counts soft" });
  const turns = el("ol", { className: "turns" });
  const more = el("p", { className: "line-more soft", hidden: true });
  const name = el("h3", {}, caller ? `${caller} / ${conversation}` : conversation);
  const isOwn = caller === view.you.caller;
  const open = el("button", {
    type: "button", className: "open quiet", hidden: !isOwn,
    label: `Open ${conversation} in the chat`, on: { click: () => openInChat(conversation) },
  }, "Open");
  const head = el("div", { className: "line-head" }, name, said, open);
  const line = el("li", { className: "line", data: { conversation, caller } }, head, turns, more);
  return { line, counts: said, turns, more };
}

/** When the row that has the focus goes, its neighbour's button gets it, else the title. */
function keepFocus(list, next) {
  const row = document.activeElement?.closest?.("li[data-turn-id]");
  if (!row || row.parentElement !== list || next.includes(row)) return;
  const after = [...list.children].slice([...list.children].indexOf(row)).find((one) => next.includes(one));
  (after?.querySelector("button") ?? $("lines-title")).focus({ preventScroll: true });
}

function rowNode(turn) {
  if (!rows.has(turn.id)) rows.set(turn.id, makeRow(turn));
  const nodes = rows.get(turn.id);
  nodes.turn = turn;
  nodes.row.dataset.state = turn.state;
  const running = turn.state === "fenced" ? "does not stop" : "runs";
  say(nodes.place, turn.state === "waiting" ? (turn.position ? ordinal(turn.position) : "waits") : running);
  const eta = turn.state === "waiting" && turn.eta_s ? `starts in ${expected(turn.eta_s)}` : "";
  say(nodes.eta, [eta, turn.attempt > 1 ? `${ordinal(turn.attempt)} attempt` : ""].filter(Boolean).join(", "));
  say(nodes.words, turn.message ?? "");
  return nodes.row;
}

function makeRow({ id }) {
  const short = id.slice(-8); // It begins with the time.
  const span = (className) => el("span", { className });
  const nodes = { place: span("place"), age: span("age"), eta: span("eta soft"), words: span("words") };
  const name = el("code", { title: id }, short);
  const cancel = el("button", {
    type: "button", className: "quiet cancel", label: `Cancel ${short}`,
    on: { click: () => stop(id, cancel, nodes.eta) },
  }, "Cancel");
  nodes.row = el("li", { data: { turnId: id } }, nodes.place, name, nodes.words, nodes.age, nodes.eta, cancel);
  return nodes;
}

async function stop(id, button, said) {
  if (button.ariaDisabled) return;
  button.ariaDisabled = "true"; // It keeps the focus, which `disabled` would take away.
  try {
    await ask("DELETE", `turns/${encodeURIComponent(id)}`);
  } catch (error) {
    if (causeOf(error) !== "no-such-turn") say(said, problemText(error)); // It has gone meanwhile.
    button.ariaDisabled = null;
  }
}

/** Ages are the reader's to count. */
function tick() {
  const now = view.now();
  for (const { turn, age: node } of rows.values()) {
    if (turn) say(node, about(now - (turn.started_at ?? turn.accepted_at)));
  }
}
