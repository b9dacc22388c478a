"""The screen of whence top: three tables that are filled anew at every look."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Static

from whence.cli.render.activity import (
    FAILURE_HEADER,
    KIND_HEADER,
    PROCESS_HEADER,
    headline,
    kind_cells,
    process_cells,
    state_style,
)
from whence.cli.render.safe import safe
from whence.cli.top import Top
from whence.model.errors import WhenceError
from whence.model.event import TraceEvent
from whence.query.activity import KindActivity

__all__ = ["RATES", "AnswerScreen", "ConfirmScreen", "TopView", "next_rate"]

RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)

_Row = tuple[str, tuple[Text, ...]]  # key, cells


class ConfirmScreen(ModalScreen[bool]):
    """Asks one question; y or Enter is yes, anything else no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter", "dismiss(True)", "Yes"),
        Binding("n,escape,q", "dismiss(False)", "No"),
    ]
    CSS = """
    ConfirmScreen { align: center middle; }
    ConfirmScreen Static { width: auto; padding: 1 3; border: round $accent; }
    """

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """The question and the keys."""
        yield Static(Text(f"{self._question}   y / n"), id="question")


class AnswerScreen(ModalScreen[None]):
    """Lines of text to scroll through; Escape or q goes back."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "dismiss", "Back")]
    CSS = """
    AnswerScreen VerticalScroll { margin: 2 4; border: round $accent; background: $surface; }
    """

    def __init__(self, lines: Iterable[Text]) -> None:
        super().__init__()
        self._text = Text("\n").join(lines)

    def compose(self) -> ComposeResult:
        """The text."""
        with VerticalScroll():
            yield Static(self._text, id="answer")


class _Rows(DataTable[Text]):
    """A table whose Enter is told in the footer."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select_cursor", "Why")]


class TopView(App[None]):
    """Shows a Top until q. Recorded text is escaped; nothing of it is read as markup."""

    TITLE = "whence top"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #headline { height: 1; }
    _Rows { height: auto; max-height: 33%; margin-top: 1; }
    #failures { height: 1fr; max-height: 100%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "switch(True)", "Enable"),
        Binding("d", "switch(False)", "Disable"),
        Binding("plus,equals_sign", "sample(1)", "Sample more", key_display="+"),
        Binding("minus", "sample(-1)", "less", key_display="-"),
        Binding("p", "pause", "Pause"),
        Binding("tab", "focus_next", "Next list", show=True),
        Binding("q", "quit", "Quit"),
    ]

    def __init__(self, model: Top, interval_s: float) -> None:
        super().__init__()
        self._model = model
        self._interval_s = interval_s
        self._paused = False

    def compose(self) -> ComposeResult:
        """One line, three tables, the keys."""
        yield Static(id="headline")
        for name in ("processes", "kinds", "failures"):
            yield _Rows(id=name, cursor_type="row")
        yield Footer()

    def on_mount(self) -> None:
        """Names the columns, looks, and goes on looking."""
        headers = (("processes", PROCESS_HEADER), ("kinds", KIND_HEADER))
        for name, header in (*headers, ("failures", FAILURE_HEADER)):
            self._table(name).add_columns(*header)
        self._table("kinds").focus()
        self.look()
        self.set_interval(self._interval_s, self._look_on)

    def look(self) -> None:
        """Looks once and shows what is there."""
        found = self._model.look()
        self._show_headline()
        self._fill(
            "processes",
            [
                (each.session, _cells(process_cells(each), 8, state_style(each)))
                for each in found.processes
            ],
        )
        incomplete = self._model.incomplete
        self._fill(
            "kinds",
            [
                (_kind_key(each), _cells(kind_cells(each, incomplete=incomplete)))
                for each in found.kinds
            ],
        )
        rows = zip(self._model.failures(), self._model.failure_rows(), strict=True)
        self._fill("failures", [(_event_key(event), _cells(cells)) for (event, _), cells in rows])

    def action_pause(self) -> None:
        """Stops looking, or goes on."""
        self._paused = not self._paused
        self._show_headline()

    def action_switch(self, on: bool) -> None:
        """Switches the selected event type on or off."""
        if (kind := self._selected_kind()) is not None:
            self._change(lambda: self._model.set_on(kind.event_type, on))

    def action_sample(self, step: int) -> None:
        """Asks, then gives the selected event type the next higher or lower sample rate."""
        kind = self._selected_kind()
        if kind is None:
            return
        if kind.decision:
            self._say(f"{kind.event_type} is a decision: decisions are recorded all, or off")
            return
        rate = next_rate(1.0 if kind.sample_rate is None else kind.sample_rate, step)
        question = f"Sample {safe(kind.event_type)} at {rate:.4g} in all these processes?"

        def confirmed(yes: bool | None) -> None:
            if yes:
                self._change(lambda: self._model.set_rate(kind.event_type, rate))

        self.push_screen(ConfirmScreen(question), confirmed)

    def on_data_table_row_selected(self, message: DataTable.RowSelected) -> None:
        """Enter explains the selected failure; the newest where another list is in use."""
        failures = self._model.failures()
        if failures:
            at = message.cursor_row if message.data_table.id == "failures" else 0
            self._explain(failures[min(at, len(failures) - 1)][0])

    @work(thread=True, exclusive=True)
    def _explain(self, event: TraceEvent) -> None:
        try:
            lines = self._model.why(event)
        except (WhenceError, OSError, StopIteration) as error:
            lines = [Text(safe(f"It cannot be told any more: {error}"))]
        self.call_from_thread(self.push_screen, AnswerScreen(lines))

    def _look_on(self) -> None:
        if not self._paused:
            self.look()

    def _change(self, change: Callable[[], str]) -> None:
        try:
            self._say(change())
        except (WhenceError, OSError, ValueError) as error:
            self._say(str(error))
        self.look()

    def _say(self, text: str) -> None:
        self.notify(safe(text), markup=False)

    def _show_headline(self) -> None:
        text = headline(self._model.found)
        if self._paused:
            text.append("   paused", style="bold yellow")
        self.query_one("#headline", Static).update(text)

    def _selected_kind(self) -> KindActivity | None:
        kinds = self._model.found.kinds
        at = self._table("kinds").cursor_row
        return kinds[at] if 0 <= at < len(kinds) else None

    def _table(self, name: str) -> DataTable[Text]:
        return self.query_one(f"#{name}", _Rows)

    def _fill(self, name: str, rows: Sequence[_Row]) -> None:
        """New content; the cursor stays on the row it was on, as long as that is there."""
        table = self._table(name)
        keys = [key for key, _ in rows]
        selected = None
        if table.row_count:
            selected = table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value
        table.clear()
        for key, cells in rows:
            table.add_row(*cells, key=key)
        if selected in keys:
            table.move_cursor(row=keys.index(selected), animate=False)


def next_rate(rate: float, step: int) -> float:
    """The next of RATES above (step 1) or below (step -1) a rate."""
    if step > 0:
        return next((each for each in RATES if each > rate * 1.0001), RATES[-1])
    return next((each for each in reversed(RATES) if each < rate * 0.9999), RATES[0])


def _cells(texts: Sequence[str], styled: int = -1, style: str = "") -> tuple[Text, ...]:
    return tuple(Text(text, style=style if at == styled else "") for at, text in enumerate(texts))


def _kind_key(each: KindActivity) -> str:
    return f"{each.event_type}\0{each.component}"


def _event_key(event: TraceEvent) -> str:
    return f"{event.session}\0{event.ring}\0{event.ticket}"
