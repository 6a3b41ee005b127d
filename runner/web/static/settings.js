// The effective settings, asked for when they are opened.
import { $, el, say } from "./dom.js";
import { json } from "./server.js";
import { problemText } from "./words.js";

export function start() {
  $("settings").addEventListener("toggle", () => {
    if ($("settings").open) load();
  });
}

async function load() {
  const table = $("settings-table");
  try {
    const { settings } = await json("GET", "view/settings");
    table.tBodies[0].replaceChildren(...settings.map(row));
    table.parentElement.hidden = false;
    say($("settings-status"), "What differs from the default is marked with a dot. Secrets are not shown.");
  } catch (error) {
    table.parentElement.hidden = true;
    say($("settings-status"), problemText(error));
  }
}

function row({ table, key, value, default: usual, about }) {
  const isOwn = JSON.stringify(value) !== JSON.stringify(usual);
  const shown = el("code", {}, text(value));
  const default_ = isOwn ? [el("span", { className: "soft" }, ` (default ${text(usual)})`)] : [];
  const name = el("th", { scope: "row" }, el("code", {}, `${table}.${key}`), isOwn ? " •" : "");
  return el("tr", { data: { own: isOwn } }, name, el("td", {}, shown, ...default_), el("td", {}, about ?? ""));
}

const text = (value) => (typeof value === "string" ? value : value === null || value === undefined ? "none" : JSON.stringify(value));
