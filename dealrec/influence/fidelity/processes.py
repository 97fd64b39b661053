"""Runs independent tasks over one shared input, several at a time in processes of one thread each."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

from dealrec.config.runtime import Runtime
from dealrec.runtime import apply_runtime

Shared = TypeVar("Shared")
Task = TypeVar("Task")
Result = TypeVar("Result")


def run_in_processes(
    work: Callable[[Shared, Task], Result], shared: Shared, tasks: Sequence[Task], processes: int
) -> Iterator[tuple[Task, Result]]:
    """Call ``work(shared, task)`` for each task; yield tasks with their results as they finish.

    ``work`` is a function at module level, since it is sent to spawned processes; ``shared`` is sent
    to each process once. When the caller stops early, tasks that have not begun are cancelled.
    """
    pool = ProcessPoolExecutor(
        min(processes, len(tasks)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_open,
        initargs=(work, shared),
    )
    try:
        futures = {pool.submit(_run, task): task for task in tasks}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_opened: list[tuple[Callable[[Any, Any], Any], Any]] = []
"""The work and the shared input of this process: one entry, set when the process starts."""


def _open(work: Callable[[Any, Any], Any], shared: object) -> None:
    apply_runtime(Runtime(threads=1, device="cpu"))
    _opened[:] = [(work, shared)]


def _run(task: object) -> Any:
    ((work, shared),) = _opened
    return work(shared, task)
