"""`GET /docs`: the description of the interface as one page, with nothing loaded from elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #777; --accent: #2563eb; }
@media (prefers-color-scheme: dark) { :root { --dim: #aaa; --accent: #93c5fd; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; }
h1 { margin: .5rem 0 0; } h2 { font-size: 1.05rem; margin: 0; overflow-wrap: anywhere; }
h3 { font-size: .85rem; margin: 1rem 0 .25rem; color: var(--dim); }
section { border: 1px solid var(--line); border-radius: .5rem; margin: 1rem 0; padding: 1rem; }
code, pre { font: .85rem/1.45 ui-monospace, monospace; }
pre { border: 1px solid var(--line); border-radius: .4rem; padding: .6rem; overflow-x: auto; }
.method { color: var(--accent); display: inline-block; min-width: 4.2rem; }
dl { margin: 0; display: grid; grid-template-columns: minmax(7rem, 13rem) 1fr; gap: .35rem 1rem; }
dt { overflow-wrap: anywhere; } dd { margin: 0; overflow-wrap: anywhere; }
dd small { color: var(--dim); } a { color: var(--accent); } nav a { margin-right: .8rem; }
@media (max-width: 40rem) {
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; }
}
"""

TRY = """curl http://127.0.0.1:8080/chat -H 'Content-Type: application/json' \\
     -d '{"message": "Hello"}'

curl -N http://127.0.0.1:8080/chat -H 'Content-Type: application/json' \\
     -H 'Accept: text/event-stream' -d '{"message": "Hello"}'

curl http://127.0.0.1:8080/chat -H 'Content-Type: application/json' \\
     -H 'Prefer: respond-async' -H 'Idempotency-Key: 42' -d '{"message": "Hello"}'"""

Document = dict[str, Any]


def render(document: Document) -> bytes:
    """The page of an OpenAPI document."""
    info = document["info"]
    operations = "".join(
        _operation(path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    schemas = document["components"]["schemas"]
    shapes = "".join(_schema(name, schema) for name, schema in schemas.items())
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])}: HTTP</title><style>{STYLE}</style>"
        f"<h1>{escape(info['title'])}</h1><p>{escape(info['description'])} Version "
        f'{escape(info["version"])}. For programs: <a href="/openapi.json">/openapi.json</a></p>'
        f'<nav><a href="#operations">Operations</a> <a href="#shapes">Shapes</a></nav>'
        f"<pre>{escape(TRY)}</pre>"
        f'<main id="operations">{operations}</main><div id="shapes">{shapes}</div></html>'
    ).encode()


def _operation(path: str, method: str, operation: Document) -> str:
    answers = [_answer(status, answer) for status, answer in operation["responses"].items()]
    body = _links(operation.get("requestBody", {}))
    return (
        f'<section><h2><span class="method">{method.upper()}</span><code>{escape(path)}</code>'
        f"</h2><p>{escape(operation['summary'])}</p>"
        + (f"<h3>Body</h3><p>{body}</p>" if body else "")
        + _list("Parameters", map(_parameter, operation.get("parameters", ())))
        + _list("Answers", answers)
        + "</section>"
    )


def _list(title: str, items: Iterable[str]) -> str:
    joined = "".join(items)
    return f"<h3>{title}</h3><dl>{joined}</dl>" if joined else ""


def _parameter(parameter: Document) -> str:
    where = f"<small>{escape(parameter['in'])}</small>"
    return f"<dt><code>{escape(parameter['name'])}</code> {where}</dt><dd>{_about(parameter)}</dd>"


def _answer(status: str, answer: Document) -> str:
    named = ", ".join(f"<code>{escape(name)}</code>" for name in answer.get("headers", {}))
    headers = f"<br><small>Headers: {named}</small>" if named else ""
    return f"<dt>{status}</dt><dd>{_about(answer)} {_links(answer)}{headers}</dd>"


def _about(thing: Document) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(thing.get("description", "")))


def _links(answer: Document) -> str:
    """The media types, each with the shape that it has."""
    shown: list[str] = []
    for media_type, content in answer.get("content", {}).items():
        schema = content["schema"]
        name = schema.get("$ref", "").rpartition("/")[2]
        link = f' <a href="#{name}">{name}</a>' if name else ""
        about = f"<br><small>{_about(schema)}</small>" if "description" in schema else ""
        if "problem" not in media_type:
            shown.append(f"<code>{escape(media_type)}</code>{link}{about}")
    return "<br>".join(shown)


def _schema(name: str, schema: Document) -> str:
    text = escape(json.dumps(schema, indent=2))
    return f'<section id="{name}"><h2>{name}</h2><pre>{text}</pre></section>'
