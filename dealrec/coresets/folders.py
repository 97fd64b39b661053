"""A coreset's folder: as a run leaves it, or made from a file of examples."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dealrec.config import PruneConfig
from dealrec.config.stages import hashed
from dealrec.coresets.members import read_examples, text_columns
from dealrec.coresets.writer import MANIFEST, MEMBERS


@contextmanager
def coreset_folder(coreset: Path) -> Iterator[tuple[Path, str]]:
    """Give a folder with the members and the manifest of a coreset, and the hash of its texts."""
    if (coreset / MANIFEST).is_file():
        yield coreset, hashed(pq.read_table(coreset / MEMBERS).to_pylist())
        return
    texts = pa.table(text_columns(read_examples(coreset)))
    sha256 = hashed(texts.to_pylist())
    with tempfile.TemporaryDirectory(prefix="dealrec-") as scratch:
        folder = Path(scratch)
        pq.write_table(texts, folder / MEMBERS)
        config = PruneConfig().model_dump(mode="json")
        manifest = {"sha256": sha256, "dataset": {"sha256": None}, "config": config}
        (folder / MANIFEST).write_text(json.dumps(manifest))
        yield folder, sha256
