"""Writes the routes of docs/http.md from the OpenAPI document; `--check` exits 1 when stale."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from whence.serve.app import document, make_routes
from whence.serve.asking import Asking
from whence.serve.auth import Tokens
from whence.serve.limits import Limits
from whence.serve.parts import Parts

__all__ = ["main", "page", "routes_text"]

ROOT = Path(__file__).resolve().parent.parent
PAGE = Path("docs/http.md")
BEGIN = "<!-- routes: written by tools/http_docs.py -->\n"
END = "<!-- end of routes -->\n"


def main(arguments: list[str]) -> int:
    """Write the page's routes again, or compare them with `--check`; the exit status."""
    target = ROOT / PAGE
    text = target.read_text(encoding="utf-8")
    fresh = page(text)
    if "--check" not in arguments:
        target.write_text(fresh, encoding="utf-8")
        return 0
    if text == fresh:
        return 0
    print(f"{PAGE} is stale: run `make docs`.", file=sys.stderr)
    return 1


def page(text: str) -> str:
    """The page with its routes written again; what people wrote around them stays."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{routes_text()}\n{END}{after}"


def routes_text() -> str:
    """A section for each group of routes."""

    def nobody() -> Any:
        raise AssertionError("documents ask no store")

    parts = Parts(asking=Asking(nobody, Limits()), tokens=Tokens())
    found = document(make_routes(parts))
    sections = []
    for tag in found["tags"]:
        routes = list(_routes(found, tag["name"]))
        if routes:
            sections.append(f"### {tag['name']}\n\n{tag['description']}\n\n" + "\n".join(routes))
    return "\n".join(sections)


def _routes(found: dict[str, Any], tag: str) -> Iterator[str]:
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            if tag in operation["tags"]:
                yield "\n".join(_route(method.upper(), path, operation)) + "\n"


def _route(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    scope = operation["x-scope"]
    needs = "no token" if scope == "none" else f"scope {scope}"
    yield f"#### `{method} {path}`\n"
    yield f"{' '.join(operation['description'].split())} ({needs})\n"
    for parameter in operation.get("parameters", ()):
        yield f"* `{parameter['name']}`{_said(parameter)}"
    if body := operation.get("requestBody"):
        yield f"* body: `{_body(body)}`{'' if body.get('required') else ', if any'}"
    codes = [code for code in operation["responses"] if code not in ("400", "401", "403", "429")]
    yield f"* answers: {', '.join(codes)}"


def _said(parameter: dict[str, Any]) -> str:
    schema = parameter["schema"]
    kinds = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    values = next((each.get("enum") or each.get("items", {}).get("enum") for each in kinds), None)
    parts = [" | ".join(map(str, values))] if values else []
    if schema.get("default") not in (None, ""):
        parts.append(f"by default {str(schema['default']).lower()}")
    if parameter.get("description"):
        parts.append(parameter["description"].rstrip("."))
    return f": {'; '.join(parts)}" if parts else ""


def _body(body: dict[str, Any]) -> str:
    schema = body["content"]["application/json"]["schema"]
    kinds = schema.get("anyOf", [schema])
    return next(str(each["$ref"]).rpartition("/")[2] for each in kinds if "$ref" in each)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
