"""A figure as SVG: few bytes, its text as text, its colours as CSS variables of the page."""

from __future__ import annotations

import re

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
INK, GRID, CLEAR_WIN, CLEAR_LOSS, TIE = "#111111", "#dddddd", "#0072b2", "#b00020", "#8a8a8a"
COLOURS = {
    "queue": "#0072b3",
    "lock": "#d55e00",
    "reject": "#009e73",
    "unprotected": "#7f7f7f",
}
MORE = ("#b1589a", "#a67c00", "#4b4bbb", "#7a5230")
WAYS = {1: CLEAR_WIN, 0: TIE, -1: CLEAR_LOSS}
"""Clearly better, a tie, clearly worse."""

PALETTE: dict[str, tuple[str, str, str]] = {
    INK: ("ink", "#1c1c1c", "#e8e8e8"),
    GRID: ("grid", "#dddddd", "#3a3d42"),
    CLEAR_WIN: ("win", "#0072b2", "#62b5ee"),
    CLEAR_LOSS: ("loss", "#b00020", "#ff7a85"),
    TIE: ("tie", "#8a8a8a", "#8f949b"),
    "#0072b3": ("queue", "#0072b2", "#62b5ee"),
    "#d55e00": ("lock", "#d55e00", "#ff9b54"),
    "#009e73": ("reject", "#008a64", "#3fd0a4"),
    "#7f7f7f": ("control", "#7f7f7f", "#a0a0a0"),
    "#b1589a": ("more-1", "#b1589a", "#e29ad0"),
    "#a67c00": ("more-2", "#a67c00", "#e6bd4a"),
    "#4b4bbb": ("more-3", "#4b4bbb", "#a3a3ff"),
    "#7a5230": ("more-4", "#7a5230", "#d0a27c"),
}
"""The colour that is drawn -> its variable, its value in light and in dark."""


def variables(dark: bool) -> str:
    """The palette as CSS declarations."""
    return " ".join(f"--{name}: {(light, night)[dark]};" for name, light, night in PALETTE.values())


def as_file(svg: str) -> str:
    """The figure as a file of its own, which must bring its colours."""
    style = (
        f"<style>svg{{{variables(dark=False)} font-family: {FONT}}}"
        f"@media (prefers-color-scheme: dark){{svg{{{variables(dark=True)}}}}}</style>"
    )
    head, _, rest = svg.partition(">")
    return f'{head} xmlns="http://www.w3.org/2000/svg">{style}{rest}\n'


def smaller(text: str, name: str) -> str:
    """Without what a page does not need; coordinates to a tenth of a point (0.13 pixels)."""
    box = re.search(r'viewBox="([^"]+)"', text)
    assert box is not None
    body = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</defs>", "", text, flags=re.S)
    body = _without_plain_groups(body[body.index(">") + 1 : body.rindex("</svg>")])
    body = re.sub(r"<[^>]*>", lambda tag: _smaller_tag(tag[0], name), body)
    body = _with_styles_said_once(re.sub(r"\s*\n\s*", "\n", body).strip())
    return f'<svg viewBox="{box[1]}">\n{body}\n</svg>'


def _smaller_tag(tag: str, name: str) -> str:
    tag = re.sub(r"-?\d+\.\d+", lambda number: f"{round(float(number[0]), 1) + 0.0:g}", tag)
    tag = re.sub(r" font-family: [^;\"]*;?| transform=\"rotate\(-?0 [^)]*\)\"", "", tag)
    tag = re.sub(r"([ML]) (\S+) (\S+)\s*", r"\1\2 \3", tag)
    tag = re.sub(r"M(\S+ [^ML\s\"]+)L\1(?=[M\"])", r"M\1h0", tag)  # A dot.
    tag = re.sub(r"M(\S+) ([^ML\s\"]+)L(\S+) \2(?=[M\"])", r"M\1 \2H\3", tag)
    tag = re.sub(r"(#|id=\")([mp][0-9a-f]{5})[0-9a-f]{5}", rf"\1{name}-\2", tag)
    tag = tag.replace("xlink:", "").replace("; ", ";").replace(": ", ":")
    for drawn, (variable, _, _) in PALETTE.items():
        tag = tag.replace(drawn, f"var(--{variable})")
    return tag


def _without_plain_groups(body: str) -> str:
    """Groups that only have a name go; those that clip stay."""
    stays: list[bool] = []

    def kept(tag: re.Match[str]) -> str:
        if tag[0] != "</g>":
            stays.append("clip-path" in tag[0])
            return tag[0] if stays[-1] else ""
        return tag[0] if stays.pop() else ""

    return re.sub(r"<g\b[^>]*>|</g>", kept, body)


def _with_styles_said_once(body: str) -> str:
    """A mark that has one style wherever it is used has it where it is defined instead."""
    used: dict[str, set[str]] = {}
    for mark, style in re.findall(r'<use href="#([^"]+)"[^>]* style="([^"]*)"', body):
        used.setdefault(mark, set()).add(style)
    for mark, styles in used.items():
        if len(styles) == 1:
            (style,) = styles
            body = re.sub(rf'(<use href="#{mark}"[^>]*) style="[^"]*"', r"\1", body)
            body = re.sub(rf'(id="{mark}"[^>]*) style="[^"]*"', rf'\1 style="{style}"', body)
    return body
