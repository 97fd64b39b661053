from typing import Any

from dealrec.checkpoints import CheckpointFile
from dealrec.progress import Silent
from tests.chaos.disk import SmallDisk

FAILURE = ("checkpoint_not_written", {"reason": "No space left on device"})


class Events(Silent):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, Any]]] = []

    def event(self, kind: str, **data: Any) -> None:
        self.seen.append((kind, data))


def test_a_full_disk_is_told_once_and_the_checkpoint_before_stays(full_disk: SmallDisk) -> None:
    events = Events()
    file = CheckpointFile(full_disk.folder / "run" / "one.pt", events)
    full_disk.free()
    file.write(lambda content: content.write(b"epoch 1"))
    full_disk.fill()
    file.write(lambda content: content.write(b"epoch 2" * 10_000))
    file.write(lambda content: content.write(b"epoch 3" * 10_000))
    assert file.path.read_bytes() == b"epoch 1"
    assert [path.name for path in file.path.parent.iterdir()] == ["one.pt"]
    assert events.seen == [FAILURE]
    full_disk.free()
    file.write(lambda content: content.write(b"epoch 4"))
    assert file.path.read_bytes() == b"epoch 4"
    full_disk.fill()
    file.write(lambda content: content.write(b"epoch 5" * 10_000))
    assert events.seen == [FAILURE] * 2


def test_a_folder_that_cannot_be_made_is_told_too(tmp_path: Any) -> None:
    (tmp_path / "no folder").write_text("a file")
    events = Events()
    CheckpointFile(tmp_path / "no folder" / "one.pt", events).write(
        lambda content: content.write(b"epoch 1")
    )
    assert [kind for kind, _ in events.seen] == ["checkpoint_not_written"]
