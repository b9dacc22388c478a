"""Loki's push request as a protobuf message; the schema is built here, from its three messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

__all__ = ["Entry", "push_request", "quoted_labels"]

# (wall ns, line, structured metadata)
Entry = tuple[int, str, Mapping[str, str]]

_NANOS = 1_000_000_000


def push_request(streams: Iterable[tuple[str, Sequence[Entry]]]) -> bytes:
    """The serialised PushRequest of (label set, entries) pairs; about 4 us an entry.

    Text must be valid UTF-8. Raises ImportError without protobuf: pip install 'whence[loki]'.
    """
    request = _message_class()()
    for labels, entries in streams:
        stream = request.streams.add(labels=labels)
        for wall_ns, line, metadata in entries:
            entry = stream.entries.add(line=line)
            entry.timestamp.seconds, entry.timestamp.nanos = divmod(wall_ns, _NANOS)
            for name, value in metadata.items():
                entry.structuredMetadata.add(name=name, value=value)
    body: bytes = request.SerializeToString(deterministic=True)
    return body


def quoted_labels(labels: Mapping[str, str]) -> str:
    """The label set as Loki reads it: {name="value", ...}, sorted, with all controls escaped."""
    pairs = (f'{name}="{_escaped(value)}"' for name, value in sorted(labels.items()))
    return "{" + ", ".join(pairs) + "}"


def _escaped(value: str) -> str:
    if value.isalnum():
        return value
    return "".join(_ESCAPES.get(letter) or _escaped_letter(letter) for letter in value)


_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escaped_letter(letter: str) -> str:
    number = ord(letter)
    return f"\\u{number:04x}" if number < 0x20 or 0x7F <= number < 0xA0 else letter


@cache
def _message_class() -> Any:
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2
    except ImportError as error:
        raise ImportError("format=protobuf needs: pip install 'whence[loki]'") from error
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(_schema(descriptor_pb2))
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("logproto.PushRequest"))


def _schema(pb: Any) -> Any:
    """What push.proto of grafana/loki declares, as far as a client needs it."""
    field = pb.FieldDescriptorProto
    file = pb.FileDescriptorProto(
        name="whence/loki_push.proto",
        package="logproto",
        syntax="proto3",
        dependency=["google/protobuf/timestamp.proto"],
    )

    def message(name: str, *fields: tuple[str, int, int, int, str]) -> None:
        declared = file.message_type.add(name=name)
        for field_name, number, label, kind, type_name in fields:
            declared.field.add(
                name=field_name, number=number, label=label, type=kind, type_name=type_name or None
            )

    one, many = field.LABEL_OPTIONAL, field.LABEL_REPEATED
    text, nested = field.TYPE_STRING, field.TYPE_MESSAGE
    message("LabelPairAdapter", ("name", 1, one, text, ""), ("value", 2, one, text, ""))
    message(
        "EntryAdapter",
        ("timestamp", 1, one, nested, ".google.protobuf.Timestamp"),
        ("line", 2, one, text, ""),
        ("structuredMetadata", 3, many, nested, ".logproto.LabelPairAdapter"),
    )
    message(
        "StreamAdapter",
        ("labels", 1, one, text, ""),
        ("entries", 2, many, nested, ".logproto.EntryAdapter"),
        ("hash", 3, one, field.TYPE_UINT64, ""),
    )
    message(
        "PushRequest",
        ("streams", 1, many, nested, ".logproto.StreamAdapter"),
        ("format", 2, one, text, ""),
    )
    return file
