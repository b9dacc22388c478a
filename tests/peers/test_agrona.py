"""Our ids are those of Agrona's generator, and our sets those of the SBE tool's codecs."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from whence.lineage import (
    SnowflakeGenerator,
    TraceLinkSet,
    decode_tracelink_set,
    encode_tracelink_set,
)

SOURCE = Path(__file__).with_name("lineage") / "Peer.java"
VECTORS = Path(__file__).parents[1] / "lineage" / "data" / "tracelink.json"
LIBRARY = "uk.co.real-logic:sbe-all:1.34.0"  # Agrona is in it
SCHEMAS = ("trace_link.xml", "frame_descriptor.xml", "attach.xml")

pytestmark = [
    pytest.mark.skipif(not os.environ.get("WHENCE_PEERS"), reason="set WHENCE_PEERS=1 to build it"),
    pytest.mark.skipif(
        not all(shutil.which(tool) for tool in ("java", "javac", "mvn")), reason="no Java and Maven"
    ),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the library, and Peer compiled with codecs made from our schemas."""
    folder = tmp_path_factory.mktemp("agrona")
    fetched = subprocess.run(
        [
            "mvn",
            "-q",
            "-B",
            "dependency:copy",
            f"-Dartifact={LIBRARY}",
            f"-DoutputDirectory={folder}",
        ],
        capture_output=True,
        text=True,
    )
    if fetched.returncode != 0:
        pytest.skip(f"cannot be fetched here: {fetched.stdout[-200:]}")
    (jar,) = folder.glob("*.jar")
    for schema in SCHEMAS:
        strict = ("-Dsbe.validation.warnings.fatal=true", "-Dsbe.validation.stop.on.error=true")
        path = str(files("whence.lineage") / "schema" / schema)
        made = f"-Dsbe.output.dir={folder / 'made'}"
        subprocess.run(["java", *strict, made, "-jar", str(jar), path], check=True)
    sources = [str(path) for path in (folder / "made" / "shm/tensorpool/tracelink").glob("*.java")]
    subprocess.run(
        ["javac", "-nowarn", "-cp", str(jar), "-d", str(folder), str(SOURCE), *sources], check=True
    )
    return folder


def ask(built: Path, questions: list[str]) -> list[str]:
    """The peer's answers."""
    (jar,) = built.glob("*.jar")
    opened = ("--add-opens", "java.base/jdk.internal.misc=ALL-UNNAMED")
    answered = subprocess.run(
        ["java", *opened, "-cp", f"{jar}{os.pathsep}{built}", "Peer"],
        input="\n".join(questions),
        capture_output=True,
        text=True,
        check=True,
    )
    return answered.stdout.splitlines()


def test_ids_are_those_of_agrona(built: Path) -> None:
    """R2.6 R2.35 Under clocks that stand, run and go back, with any layout: id by id the same."""
    chance = random.Random(904)
    questions, ours = [], []
    for _ in range(200):
        node_bits = chance.randint(0, 10)
        sequence_bits = chance.randint(6, 22 - node_bits)
        node, offset = chance.randrange(1 << node_bits), chance.choice((0, 1_420_070_400_000))
        times = [offset + chance.randrange(2**40) for _ in range(2)]
        times += [times[0] + chance.randint(-3, 3) for _ in range(50)]
        times = [max(offset, each) for each in times]
        questions.append(
            f"ids {node} {node_bits} {sequence_bits} {offset} " + " ".join(map(str, times))
        )
        now = [times[0]]
        made = SnowflakeGenerator(node, node_bits, sequence_bits, offset, lambda now=now: now[0])
        ids = []
        for now[0] in times:  # the clock goes on, and an id is minted
            ids.append(str(made.next()))
        ours.append(" ".join(ids))
    assert ask(built, questions) == ours


def test_sets_are_those_of_the_sbe_tool(built: Path) -> None:
    """R2.3 R2.5 R2.17 R2.18 R2.35 Its codecs read what we write, and we what they write; so for
    a later version of the schema, and for as many parents as there can be."""
    chance = random.Random(904)
    sets = [
        TraceLinkSet(
            chance.randrange(2**32 - 1),
            chance.randrange(2**64 - 1),
            chance.randrange(2**64 - 1),
            chance.randrange(2**63, 2**64 - 1),
            tuple(chance.sample(range(1, 2**63), count)),
        )
        for count in (*range(1, 60), 65_534)
    ]
    wires = [encoded(each) for each in sets]
    (later,) = [
        each for each in json.loads(VECTORS.read_text())["positive"] if "v2" in each["name"]
    ]
    answers = ask(built, [f"set {wire.hex()}" for wire in wires] + [f"set {later['hex']}"])
    for made, wire, answer in zip(sets, wires, answers, strict=False):
        *numbers, theirs = answer.split(" ")
        assert [int(each) for each in numbers] == [*made[:4], *made.parents]
        assert theirs == wire.hex()
    *numbers, theirs = answers[-1].split(" ")
    assert numbers == ["7", "9", "11", "42", "10", "20"]
    assert decode_tracelink_set(bytes.fromhex(theirs)) == TraceLinkSet(7, 9, 11, 42, (10, 20))


def encoded(made: TraceLinkSet) -> bytes:
    """Our bytes of it."""
    buffer = bytearray(40 + 8 * len(made.parents))
    encode_tracelink_set(buffer, *made)
    return bytes(buffer)
