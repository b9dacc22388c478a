"""Writes docs/cli.md from the help texts of the commands; `--check` exits 1 when it is stale."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from whence.cli.main import cli
from whence.demo.run import main as demo

__all__ = ["main", "page"]

ROOT = Path(__file__).resolve().parent.parent
PAGE = Path("docs/cli.md")
COLUMNS = 100

INTRODUCTION = """\
# Command line

Written by `tools/cli_docs.py` (`make docs`) from the commands themselves: what `--help` prints,
here always 100 columns wide. Install it with `pip install 'whence[cli]'`.
"""


def main(arguments: list[str]) -> int:
    """Write the page, or compare it with `--check`; the exit status."""
    fresh = page()
    target = ROOT / PAGE
    if "--check" not in arguments:
        target.parent.mkdir(exist_ok=True)
        target.write_text(fresh, encoding="utf-8")
        return 0
    if target.exists() and target.read_text(encoding="utf-8") == fresh:
        return 0
    print(f"{PAGE} is stale: run `make docs`.", file=sys.stderr)
    return 1


def page() -> str:
    """The page's text: a section for every command, sub-commands after their group."""
    sections = list(_sections(cli, "whence", None))
    contents = [f"* [{path}](#{path.replace(' ', '-')}): {brief}" for path, brief, _ in sections]
    bodies = [f"## {path}\n\n```text\n{text}\n```\n" for path, _, text in sections]
    return "\n".join([INTRODUCTION, "\n".join(contents) + "\n", *bodies])


def _sections(
    command: click.Command, name: str, parent: click.Context | None
) -> Iterator[tuple[str, str, str]]:
    context = click.Context(
        command, info_name=name, parent=parent, terminal_width=COLUMNS, max_content_width=COLUMNS
    )
    said = _demo_help() if context.command_path == "whence demo" else command.get_help(context)
    text = "\n".join(line.rstrip() for line in said.strip().splitlines())
    yield context.command_path, command.get_short_help_str(COLUMNS), text
    if isinstance(command, click.Group):
        for member in command.list_commands(context):
            found = command.get_command(context, member)
            if found is not None and not found.hidden:
                yield from _sections(found, member, context)


def _demo_help() -> str:
    """What `whence demo --help` prints: the demo reads its options itself."""
    os.environ["COLUMNS"] = str(COLUMNS)
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        demo(["--help"])
    return printed.getvalue()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
