// How a turn is drawn, on any canvas: hollow while it waits, filled while it runs, a sign where it
// ended without a reply. Shapes say it; colours only repeat it.

export const STATES = ["waiting", "running", "answered", "refused", "failed", "interrupted", "cancelled"];

export const NAMES = {
  waiting: "waits", running: "runs", answered: "answered", refused: "refused", failed: "failed",
  interrupted: "interrupted", cancelled: "cancelled or expired",
};

const SAME = { expired: "cancelled", fenced: "running", input_required: "answered" };

export const shown = (state) => SAME[state] ?? state;

/** The colours of the page, as they are now. */
export function theme() {
  const style = getComputedStyle(document.documentElement);
  const names = [...STATES, "ink", "soft", "rule", "paper"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/** A canvas of this size in CSS pixels, sharp on every screen, cleared. */
export function prepare(canvas, width, height) {
  const scale = devicePixelRatio || 1;
  const context = canvas.getContext("2d");
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.height = `${height}px`;
  }
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/**
 * One turn: waits from `x0`, runs from `xs` (null: never), until `x1`, at this height.
 * The least that is seen of it is 2 pixels wide.
 */
export function drawBar(context, colours, { state, x0, xs, x1, y, height }) {
  const kind = shown(state);
  const begins = xs ?? x1;
  if (begins - x0 >= 1) drawWait(context, colours, x0, begins, y, height);
  if (xs !== null) drawRun(context, colours, kind, xs, Math.max(2, x1 - xs), y, height);
  if (!["waiting", "running", "answered"].includes(kind)) {
    const r = Math.max(3, height / 2);
    drawSign(context, colours, kind, kind === "refused" ? x1 : x1 + r + 2, y + height / 2, r);
  }
}

function drawWait(context, colours, x0, x1, y, height) {
  context.strokeStyle = colours.waiting;
  context.lineWidth = 1;
  context.strokeRect(x0 + 0.5, y + 1.5, Math.max(1, x1 - x0 - 1), height - 3);
}

function drawRun(context, colours, kind, x, width, y, height) {
  context.fillStyle = colours[kind];
  context.fillRect(x, y, width, height);
  if (kind === "running") { // Its front is open: a notch that points on.
    context.beginPath();
    context.moveTo(x + width, y);
    context.lineTo(x + width + height / 2, y + height / 2);
    context.lineTo(x + width, y + height);
    context.fill();
  }
}

function drawSign(context, colours, kind, x, y, r) {
  context.strokeStyle = context.fillStyle = colours[kind];
  context.lineWidth = 1.75;
  context.beginPath();
  if (kind === "refused") {
    context.moveTo(x - r, y - r);
    context.lineTo(x + r, y + r);
    context.moveTo(x + r, y - r);
    context.lineTo(x - r, y + r);
    context.stroke();
  } else if (kind === "failed") {
    context.moveTo(x, y - r);
    context.lineTo(x + r, y + r);
    context.lineTo(x - r, y + r);
    context.fill();
  } else if (kind === "interrupted") {
    context.moveTo(x, y - r);
    context.lineTo(x, y + r);
    context.moveTo(x + r, y - r);
    context.lineTo(x + r, y + r);
    context.stroke();
  } else {
    context.arc(x, y, r - 0.5, 0, 2 * Math.PI);
    context.stroke();
  }
}

/** A canvas that shows the sign of a state, for a legend. */
export function sample(state) {
  const canvas = document.createElement("canvas");
  canvas.className = "sample";
  canvas.setAttribute("aria-hidden", "true");
  const draw = () => {
    const context = prepare(canvas, 26, 14);
    const at = { waiting: [2, null, 23], running: [2, 2, 18], answered: [2, 2, 23], refused: [12, null, 12],
      failed: [2, 2, 12], interrupted: [2, 2, 14], cancelled: [2, null, 14] }[state];
    drawBar(context, theme(), { state, x0: at[0], xs: at[1], x1: at[2], y: 3, height: 8 });
  };
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  return canvas;
}
