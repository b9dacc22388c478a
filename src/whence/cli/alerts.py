"""whence alerts: says whether an alerts.toml makes sense, and what its rules would say now."""

from __future__ import annotations

from pathlib import Path

import click

from whence.cli.render.page import line, print_json, print_lines
from whence.cli.render.safe import safe
from whence.cli.verb import Verb, json_option
from whence.model.errors import WhenceError

__all__ = ["alerts"]

_HOLDS = {True: "holds", False: "does not hold", None: "unknown"}


@click.group()
def alerts() -> None:
    """Alert rules, as `whence serve --alerts` looks after them."""


@alerts.command("check", cls=Verb)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--from",
    "store",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A store: say what each rule would say of it now.",
)
@json_option
def _check(file: Path, store: Path | None, as_json: bool) -> None:
    """Read an alerts.toml as the server would, and tell what is wrong with it.

    With --from, each rule is looked at once over its window up to now. Nobody is told. Environment
    variables that the file names must be set.
    """
    try:
        from whence.watch.alerts.checked import checked
        from whence.watch.alerts.settings import load_alerts
    except ImportError as error:
        raise WhenceError(
            f"alerts cannot be read here ({error}): pip install 'whence[serve]'"
        ) from None
    settings = load_alerts(file)
    if store is None:
        if as_json:
            print_json({"alerts": [rule.name for rule in settings.rules]})
            return
        print_lines([line(safe(f"{file}: {len(settings.rules)} alerts, all understood"))])
        return
    from whence.query.engines.folder import FolderEngine

    with FolderEngine(store) as engine:
        found = checked(settings.rules, engine, store=str(store))
    if as_json:
        print_json({"alerts": [each.plain() for each in found]})
        return
    for each in found:
        values = ", ".join(f"{name} is {value}" for name, value in each.values.items())
        said = f"{each.rule.name}: {_HOLDS[each.holds]}: {each.rule.condition} ({values})"
        rows = [said, *(f"  {cause.command}" for cause in each.causes)]
        print_lines([line(safe(row)) for row in rows])
