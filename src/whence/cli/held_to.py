"""What chains are held to, as the options say: --contracts and --strict."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import click

from whence.query.contracts.contract import Contract
from whence.query.contracts.declared import READY_MADE, known_contracts, load_contracts

__all__ = ["HeldTo", "held_to_options"]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class HeldTo:
    """The contracts of a file and the built-in ones; `strict` counts what may be lost as lacking.

    `path` is None where no file was named.
    """

    path: str | None
    strict: bool = False

    def contracts(self) -> tuple[Contract, ...]:
        """The contracts, those of the file first, or the ready-made ones of that name alone.

        Raises ContractError and OSError.
        """
        if self.path and self.path in READY_MADE and not os.path.exists(self.path):
            return READY_MADE[self.path]
        return known_contracts(load_contracts(self.path) if self.path else ())

    @property
    def words(self) -> list[str]:
        """The options as they were given."""
        contracts = ["--contracts", self.path] if self.path else []
        return [*contracts, *(["--strict"] if self.strict else [])]


def held_to_options(chains: str = "chains", *, strict: bool = True) -> Callable[[F], F]:
    """Adds --contracts, and --strict unless that has no meaning; they come as one `held`."""

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def with_held(*args: Any, contracts: str | None, strict: bool = False, **more: Any) -> Any:
            return function(*args, held=HeldTo(contracts, strict), **more)

        decorated: Any = with_held
        if strict:
            decorated = click.option(
                "--strict", is_flag=True, help="Count what may be lost or off as incomplete."
            )(decorated)
        return cast(
            F,
            click.option(
                "--contracts",
                metavar="FILE",
                callback=_known,
                envvar="WHENCE_CONTRACTS",
                show_envvar=True,
                help=f"A contracts.toml to hold {chains} to, before the built-in contracts; or, to "
                f"hold them to these alone, the name of some: {', '.join(READY_MADE)}.",
            )(decorated),
        )

    return decorate


def _known(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A file that there is, or the name of ready-made contracts."""
    if value is None or (value in READY_MADE and not os.path.exists(value)):
        return value
    found = click.Path(exists=True, dir_okay=False).convert(value, parameter, context)
    return str(found)
