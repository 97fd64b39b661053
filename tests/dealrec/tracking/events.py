"""Reads the files of TensorBoard and of Weights & Biases, of which each is messages between check sums."""

import struct
from pathlib import Path
from typing import Any


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The steps and values of every scalar in the event file of ``folder``."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, list[tuple[int, float]]] = {}
    for content in _records(folder):
        event = Event.FromString(content)
        for value in event.summary.value:
            if value.HasField("simple_value"):
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def texts(folder: Path) -> str:
    return b"".join(_records(folder)).decode(errors="replace")


def _records(folder: Path) -> list[bytes]:
    (file,) = folder.glob("events.out.tfevents.*")
    data, place, found = file.read_bytes(), 0, []
    while place < len(data):
        (length,) = struct.unpack_from("<Q", data, place)
        found.append(data[place + 12 : place + 12 + length])
        place += 16 + length
    assert place == len(data)
    return found


def offline_run(folder: Path) -> list[Any]:
    """The messages of an offline run: a log of LevelDB's form after seven bytes, with blocks of 32 KiB."""
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = folder.glob("*.wandb")
    data, place, found, part = file.read_bytes(), 7, [], b""
    while place + 7 <= len(data):
        if (left := 32768 - place % 32768) < 7:
            place += left
            continue
        length, kind = struct.unpack_from("<HB", data, place + 4)
        part += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            found.append(Record.FromString(part))
            part = b""
    return found
