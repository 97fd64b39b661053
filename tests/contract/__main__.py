"""Renews the snapshot: ``python -m tests.contract``, once a change of the contract is meant."""

import json
import tempfile
from pathlib import Path

from dealrec.app.main import create_app
from dealrec.app.settings import Settings

SNAPSHOT = Path(__file__).parent / "openapi.json"

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        document = create_app(Settings(data_dir=Path(folder))).openapi()
    SNAPSHOT.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
