// The reader's token: kept for this tab, asked for when the server wants one.
import { $, say } from "./dom.js";

const KEPT = "turnline.token";

let asked = null;

export const token = {
  /** How often the reader would not give one. */
  putOff: 0,

  get value() {
    return sessionStorage.getItem(KEPT) ?? "";
  },

  /** Ask for one. True when the reader gave one; many who ask at once share the answer. */
  ask(why = "") {
    asked ??= dialogue(why).finally(() => (asked = null));
    return asked;
  },

  forget() {
    sessionStorage.removeItem(KEPT);
    location.reload(); // What the page shows was shown to whoever had it.
  },
};

function dialogue(why) {
  const dialog = $("token-dialog");
  say($("token-error"), why);
  $("token").value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(keep(dialog)), { once: true });
  });
}

function keep(dialog) {
  const given = $("token").value.trim();
  if (dialog.returnValue !== "use" || !given) {
    token.putOff += 1;
    return false;
  }
  sessionStorage.setItem(KEPT, given);
  return true;
}

export function start(again) {
  $("token-use").value = "use";
  $("token-cancel").addEventListener("click", () => $("token-dialog").close(""));
  $("token-forget").addEventListener("click", token.forget);
  $("token-forget").hidden = !token.value;
  $("token-enter").addEventListener("click", async () => {
    if (await token.ask()) again();
  });
}

/** Show the button that fits; a focus on the other goes over to it. */
export function show(isNeeded) {
  const isFocused = document.activeElement === $("token-enter");
  $("token-enter").hidden = !isNeeded || Boolean(token.value);
  $("token-forget").hidden = !token.value;
  if (isFocused && token.value) $("token-forget").focus();
}
