"""The project's measured claims; each module is a command, ``python -m benchmarks.NAME``."""
