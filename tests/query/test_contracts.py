"""Contracts: declared in Python or TOML, and refused with the place of what makes no sense."""

from __future__ import annotations

from pathlib import Path

import pytest

from whence.model.errors import ContractError
from whence.model.time import Duration
from whence.query.contracts.contract import Contract, End, Requirement, parse_count, parse_length
from whence.query.contracts.declared import BUILT_IN, INFERENCE, load_contracts, parse_contracts

INFERENCE_TOML = """
[[contract]]
name = "inference"
opens = "admission_decision"
within = "2s"
ends = ["execution_completed", "fault_recorded", "deadline_miss",
        { type = "admission_decision", where = "admitted = false" }]
[[contract.require]]
type = "scheduling_decision"
when = "admitted = true"
count = "1+"
after = "admission_decision"
fields = ["rationale", "model_id"]
[[contract.require]]
type = "alloc"
count = "0+"
"""


def test_a_contract_is_read_from_toml() -> None:
    """R5.12 The TOML form says the same as the values in Python."""
    (contract,) = parse_contracts(INFERENCE_TOML)
    assert contract == Contract(
        name="inference",
        opens="admission_decision",
        within=Duration.from_seconds(2),
        ends=(
            End("execution_completed"),
            End("fault_recorded"),
            End("deadline_miss"),
            End("admission_decision", where="admitted = false"),
        ),
        require=(
            Requirement(
                "scheduling_decision",
                count="1+",
                when="admitted = true",
                after=("admission_decision",),
                fields=("rationale", "model_id"),
            ),
            Requirement("alloc", count="0+"),
        ),
    )


def test_contracts_are_loaded_from_a_file(tmp_path: Path) -> None:
    """R5.12 Several contracts of one file come in its order; a file that is not text is refused."""
    path = tmp_path / "contracts.toml"
    path.write_text(INFERENCE_TOML + '[[contract]]\nname = "agent"\nopens = "plan_generated"\n')
    assert [contract.name for contract in load_contracts(path)] == ["inference", "agent"]
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ContractError, match="not UTF-8"):
        load_contracts(path)
    with pytest.raises(FileNotFoundError):
        load_contracts(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("contract = 1", r"written \[\[contract\]\]"),
        ("[[contract]]\nname = 'x'", "'opens' is missing"),
        ("[[contract]]\nname = 'x'\nopens = 'a'\nwhitin = '2s'", "did you mean 'within'"),
        ("[[contracts]]\nname = 'x'", "did you mean 'contract'"),
        ("[[contract]]\nname = 'x'\nopens = 'a'\nwithin = 2", "'within' must be text"),
        ("[[contract]]\nname = 'x'\nopens = 'a'\nwithin = 'soon'", "no length of time"),
        ("[[contract]]\nname = 'x'\nopens = 'a'\nwithin = '0s'", "longer than nothing"),
        ("[[contract]]\nname = 'x'\nopens = ''", "must be a name"),
        ("[[contract]]\nname = 'x'\nopens = 'a'\nends = 'b'", "'ends' must be a list"),
        ("[[contract]]\nname = 'x'\nopens = 'a'\nends = [1]", "an end is a type"),
        ("[[contract]]\nname = 'x'\nopens = 'a'\nends = [{type='b', when='c'}]", "unknown key"),
        (
            "[[contract]]\nname = 'x'\nopens = 'a'\nends = [{type='b', where='c'}]",
            'contract "x".*cannot understand',
        ),
        (
            "[[contract]]\nname='x'\nopens='a'\n[[contract.require]]\ntype='b'\ncount='many'",
            'requirement "b": count',
        ),
        (
            "[[contract]]\nname = 'x'\nopens = 'a'\n[[contract.require]]\ntype = 'b'\nafter = 'b'",
            "after itself",
        ),
        (
            "[[contract]]\nname = 'x'\nopens = 'a'\n[[contract.require]]\ntype = 'b'\nfields = [1]",
            "list of names",
        ),
        (
            "[[contract]]\nname='x'\nopens='a'\n[[contract.require]]\ntype='b'\n"
            "[[contract.require]]\ntype='b'",
            "requires b twice",
        ),
        ("[[contract]]\nname='x'\nopens='a'\n[[contract]]\nname='x'\nopens='b'", "two contracts"),
        ("[[contract]\n", "is not TOML"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(text: str, complaint: str) -> None:
    """R5.12 Unknown keys, missing keys and contradictions are named, with what was meant."""
    with pytest.raises(ContractError, match=complaint) as caught:
        parse_contracts(text, "my.toml")
    assert "my.toml" in str(caught.value)


def test_counts_say_how_many() -> None:
    """R5.12 Five spellings of a count, and no sixth."""
    assert parse_count("1") == (1, 1)
    assert parse_count("3") == (3, 3)
    assert parse_count("1+") == (1, None)
    assert parse_count("0+") == (0, None)
    assert parse_count("0-1") == (0, 1)
    for wrong in ("", "+", "-1", "1-0", "0", "1.5", "one"):
        with pytest.raises(ContractError):
            parse_count(wrong)


def test_lengths_of_time_are_exact() -> None:
    """R5.12 A bound is whole nanoseconds, or it is refused."""
    assert parse_length("2s") == Duration.from_seconds(2)
    assert parse_length("1.5 ms") == Duration(1_500_000)
    assert parse_length("1h") == Duration.from_seconds(3_600)
    assert parse_length("7d") == Duration.from_seconds(7 * 86_400)
    for wrong in ("1.5 ns", "2", "s", "-1s", "999999999h"):
        with pytest.raises(ContractError):
            parse_length(wrong)


def test_the_built_in_contract_covers_an_inference_request() -> None:
    """R5.12 The contract "inference" opens with admission and has every way a request may end."""
    assert INFERENCE in BUILT_IN
    assert INFERENCE.opens == "admission_decision"
    assert {end.type for end in INFERENCE.ends} >= {"execution_completed", "deadline_miss"}
    assert "alloc" not in INFERENCE.members
