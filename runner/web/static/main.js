// The page: one stream of the view, and the parts that show it.
import * as chat from "./chat.js";
import { $, say } from "./dom.js";
import * as figures from "./figures.js";
import * as lines from "./lines.js";
import * as settings from "./settings.js";
import * as sideBySide from "./side_by_side.js";
import { Stream } from "./stream.js";
import * as timeline from "./timeline.js";
import * as token from "./token.js";
import { View } from "./view.js";
import { problemText, seconds, strategySentence } from "./words.js";

const HIDDEN_MS = 30_000; // A tab that nobody sees lets its stream go after this long.

const view = new View();
const stream = new Stream("view", heard, told);
let isStale = false;
let hiding = 0;

function heard({ data }) {
  view.take(data);
  if (data.whole) introduce();
  if (isStale) return;
  isStale = true;
  requestAnimationFrame(show);
}

function show() {
  isStale = false;
  timeline.changed();
  lines.changed();
  figures.changed();
  chat.changed();
}

function introduce() {
  const strategy = document.createElement("strong");
  strategy.textContent = view.strategy;
  $("strategy").replaceChildren("The strategy is ", strategy, `. ${strategySentence(view.strategy)}`);
  if (!$("agent").textContent.trim()) say($("agent"), view.agent_id ?? "");
  token.show(false);
}

function told(state, wait_s, problem) {
  const words = {
    connecting: "connecting",
    live: view.you.caller ? `live, as ${view.you.caller}${view.you.everyone ? ", an operator" : ""}` : "live",
    waiting: `no connection; trying again in ${seconds(wait_s)}`,
    refused: problem?.status === 401 ? "a token is needed" : problem && problemText(problem),
    closed: hiding ? "paused while this tab is hidden" : "",
  };
  $("connection").dataset.state = state === "closed" ? "paused" : state;
  if (words[state]) say($("connection"), words[state]);
  if (state === "refused") token.show(problem.status === 401);
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) hiding = setTimeout(() => stream.close(), HIDDEN_MS);
  else if ($("connection").dataset.state === "paused") stream.open();
  if (!document.hidden) hiding = 0;
});
addEventListener("online", () => stream.open());

token.start(() => {
  stream.open();
  chat.load();
});
timeline.start(view);
lines.start(view, (name) => {
  chat.open(name);
  $("chat").focus();
});
chat.start(view);
settings.start();
sideBySide.start();
stream.open();
chat.load();
figures.start(view);
