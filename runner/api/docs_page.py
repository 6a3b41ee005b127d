"""`GET /docs`: the description of the interface as one page, with nothing loaded from elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import escape
from itertools import starmap
from typing import Any

STYLE = """
:root { color-scheme: light dark; --line: #8884; --accent: light-dark(#2563eb, #93c5fd); }
* { box-sizing: border-box; overflow-wrap: anywhere; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; }
h2 { font-size: 1.05rem; margin: 0; } a, b { color: var(--accent); }
section, pre { border: 1px solid var(--line); border-radius: .5rem; margin: 1rem 0; padding: 1rem; }
code, pre { font: .85rem/1.45 ui-monospace, monospace; } pre { overflow-x: auto; }
dl { display: grid; grid-template-columns: minmax(7rem, 13rem) 1fr; gap: .35rem 1rem; margin: 0; }
dd { margin: 0; } @media (max-width: 40rem) { dl { display: block; } }
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
    rows = {f"{one['in']} {one['name']}": one for one in operation.get("parameters", ())}
    if "requestBody" in operation:
        rows["body"] = operation["requestBody"]
    rows |= operation["responses"]
    return (
        f"<section><h2><b>{method.upper()}</b> <code>{escape(path)}</code></h2>"
        f"<p>{escape(operation['summary'])}</p>"
        f"<dl>{''.join(starmap(_row, rows.items()))}</dl></section>"
    )


def _row(name: str, thing: Document) -> str:
    """A parameter, the body or an answer: what it is for, its shapes and its headers."""
    parts = [_about(thing), *_shapes(thing.get("content", {}))]
    if "headers" in thing:
        named = ", ".join(f"<code>{escape(header)}</code>" for header in thing["headers"])
        parts.append(f"<small>Headers: {named}</small>")
    return f"<dt>{escape(name)}</dt><dd>{'<br>'.join(filter(None, parts))}</dd>"


def _about(thing: Document) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(thing.get("description", "")))


def _shapes(content: Document) -> Iterator[str]:
    """Each media type and its shape, but that of problems, which is the same everywhere."""
    for media_type, media in content.items():
        name = media["schema"].get("$ref", "").rpartition("/")[2]
        link = f'<a href="#{name}">{name}</a> ' if name else ""
        if "problem" not in media_type:
            yield f"<code>{escape(media_type)}</code> {link}{_about(media['schema'])}"


def _schema(name: str, schema: Document) -> str:
    text = escape(json.dumps(schema, indent=2))
    return f'<section id="{name}"><h2>{name}</h2><pre>{text}</pre></section>'
