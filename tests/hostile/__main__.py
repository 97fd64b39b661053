"""Every file and request that attacks, the big ones too: ``python -m tests.hostile``."""

import sys
import tempfile
import time
from pathlib import Path

from tests.hostile.files import MEBI
from tests.hostile.formats import FILES
from tests.hostile.forms import REQUESTS
from tests.hostile.judge import LARGEST_GROWTH, judged_file, judged_request
from tests.hostile.run import attack


def main() -> int:
    """A line for each that went wrong, and one that sums up; 1 where any did."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dealrec-hostile-") as folder:
        outcomes = attack(Path(folder), FILES, REQUESTS)
    judged = [
        *(judged_request(name, outcomes) for name in REQUESTS),
        *(judged_file(name, outcomes) for name in FILES),
        *(f"left behind: {path}" for path in outcomes.left),
        None if outcomes.answers_still else "the server does not answer",
        None if outcomes.growth < LARGEST_GROWTH else "the server kept memory",
    ]
    wrong = [line for line in judged if line is not None]
    for line in wrong:
        print(line)
    print(
        f"hostile: {len(REQUESTS)} requests, {len(FILES)} files, {len(wrong)} wrong, "
        f"{len(outcomes.left)} files left, memory of the API {outcomes.growth / MEBI:+.1f} MiB, "
        f"{time.monotonic() - begun:.0f} s"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
