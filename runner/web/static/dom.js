// Elements. Text goes in as text only: nothing here reads markup.

export const $ = (id) => document.getElementById(id);

/** An element with these properties; `data` is its dataset, `on` its listeners. */
export function el(tag, { data = {}, on = {}, role, label, ...properties } = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  Object.assign(made.dataset, data);
  if (role) made.setAttribute("role", role);
  if (label) made.setAttribute("aria-label", label);
  for (const [kind, listener] of Object.entries(on)) made.addEventListener(kind, listener);
  made.append(...children);
  return made;
}

/** Set the text if it is another: an untouched node keeps a reader's selection. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** The children of `parent` become `nodes`, in this order, with as few moves as there can be. */
export function arrange(parent, nodes) {
  const kept = new Set(nodes);
  for (const child of [...parent.children]) if (!kept.has(child)) child.remove();
  nodes.forEach((node, at) => {
    if (parent.children[at] !== node) parent.insertBefore(node, parent.children[at] ?? null);
  });
}

/** Whether the reader asked for little motion, now. */
export const isCalm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** A text that is used once. `crypto.randomUUID` is not there on plain http. */
export function fresh(length = 32) {
  const bytes = crypto.getRandomValues(new Uint8Array(length / 2));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
