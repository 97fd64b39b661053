"""``python -m dealrec``."""

from dealrec.cli import main

main()
