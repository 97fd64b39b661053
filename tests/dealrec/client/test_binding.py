"""Coroutines that the blocking client finishes by itself."""

import asyncio
from collections.abc import AsyncIterator, Generator
from typing import Generic, TypeVar

import pytest

from dealrec.client.binding import finished, operation, reference, sequence
from dealrec.client.transport import AsyncTransport, BlockingTransport, Server, Transport

M = TypeVar("M", bound=Transport)


class Thing(Generic[M]):
    def __init__(self, transport: M) -> None:
        self.transport: M = transport
        self.closed = False

    @operation
    async def double(self, number: int, *, plus: int = 0) -> int:
        """Twice as much."""
        await self.transport.sleep(0)
        return 2 * number + plus

    @reference
    async def other(self) -> str:
        return await self.transport.call(str.upper, "other")

    @sequence
    async def count(self) -> AsyncIterator[int]:
        try:
            for number in range(10):
                await self.transport.sleep(0)
                yield number
        finally:
            self.closed = True


@pytest.fixture
def blocking() -> Thing[BlockingTransport]:
    return Thing(BlockingTransport(Server("http://127.0.0.1"), "test"))


def test_a_method_is_finished_when_it_returns(blocking: Thing[BlockingTransport]) -> None:
    assert blocking.double(3, plus=1) == 7
    assert blocking.other == "OTHER"
    assert list(blocking.count()) == list(range(10))


def test_the_same_method_is_awaited_on_an_event_loop() -> None:
    async def asked() -> tuple[int, str, list[int]]:
        thing = Thing(AsyncTransport(Server("http://127.0.0.1"), "test"))
        return await thing.double(3), await thing.other, [number async for number in thing.count()]

    assert asyncio.run(asked()) == (6, "OTHER", list(range(10)))


def test_a_list_that_is_left_early_is_closed(blocking: Thing[BlockingTransport]) -> None:
    numbers = blocking.count()
    assert isinstance(numbers, Generator)
    assert next(numbers) == 0
    numbers.close()
    assert blocking.closed


def test_what_would_wait_for_a_loop_is_a_bug_that_is_said() -> None:
    with pytest.raises(RuntimeError, match="suspended"):
        finished(asyncio.sleep(0))


def test_a_method_shows_its_docstring_on_class_and_object(
    blocking: Thing[BlockingTransport],
) -> None:
    assert Thing.double.__doc__ == blocking.double.__doc__ == "Twice as much."
