"""One implementation for both clients: coroutines, which the blocking one runs to their end at once.

Everything is written as coroutines over a :class:`~dealrec.client.transport.Transport`. On an
:class:`~dealrec.client.transport.AsyncTransport` they are what they look like. On a
:class:`~dealrec.client.transport.BlockingTransport` no ``await`` ever suspends (it has slept, sent or
read by the time it is asked), so a single step finishes them, without an event loop.

The descriptors below give a method the one or the other form, by the transport of the object that
it is found on, and tell type checkers which.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator
from functools import update_wrapper, wraps
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from dealrec.client.transport import AsyncTransport, BlockingTransport, Transport

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
M_co = TypeVar("M_co", bound=Transport, covariant=True)


class Bound(Protocol[M_co]):
    """Something that asks the service through a transport."""

    @property
    def transport(self) -> M_co:
        """Blocking or not."""


class operation(Generic[P, T_co]):  # noqa: N801 - used as a decorator
    """A method that asks the service: it blocks, or is to be awaited."""

    def __init__(self, function: Callable[Concatenate[Any, P], Coroutine[Any, Any, T_co]]) -> None:
        self.function = function
        _described(self, function)

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(
        self, instance: Bound[BlockingTransport], owner: type | None = None
    ) -> Callable[P, T_co]: ...
    @overload
    def __get__(
        self, instance: Bound[AsyncTransport], owner: type | None = None
    ) -> Callable[P, Coroutine[Any, Any, T_co]]: ...

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        return _method(self.function, instance, finished)


class sequence(Generic[P, T_co]):  # noqa: N801
    """A method that gives one thing after the other, and asks the service as it goes."""

    def __init__(self, function: Callable[Concatenate[Any, P], AsyncIterator[T_co]]) -> None:
        self.function = function
        _described(self, function)

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(
        self, instance: Bound[BlockingTransport], owner: type | None = None
    ) -> Callable[P, Iterator[T_co]]: ...
    @overload
    def __get__(
        self, instance: Bound[AsyncTransport], owner: type | None = None
    ) -> Callable[P, AsyncIterator[T_co]]: ...

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        return _method(self.function, instance, _in_turn)


class reference(Generic[T_co]):  # noqa: N801
    """Another object that this one leads to: the service is asked when the attribute is read."""

    def __init__(self, function: Callable[[Any], Coroutine[Any, Any, T_co]]) -> None:
        self.function = function
        _described(self, function)

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Bound[BlockingTransport], owner: type | None = None) -> T_co: ...
    @overload
    def __get__(
        self, instance: Bound[AsyncTransport], owner: type | None = None
    ) -> Coroutine[Any, Any, T_co]: ...

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        return _method(self.function, instance, finished)()


def finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine that never suspends returns."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    coroutine.close()
    raise RuntimeError("a coroutine of the blocking client was suspended")


def _in_turn(things: AsyncGenerator[T, None]) -> Generator[T, None, None]:
    """What an asynchronous generator that never suspends gives; it is closed with this one."""
    try:
        while True:
            try:
                thing = finished(things.__anext__())
            except StopAsyncIteration:
                return
            yield thing
    finally:
        finished(things.aclose())


def _method(function: Callable[..., Any], instance: Any, blocking: Callable[[Any], Any]) -> Any:
    method = MethodType(function, instance)
    if isinstance(instance.transport, AsyncTransport):
        return method

    @wraps(method)
    def called(*args: Any, **kwargs: Any) -> Any:
        return blocking(method(*args, **kwargs))

    return called


def _described(descriptor: Any, function: Callable[..., Any]) -> None:
    """``help`` shows the docstring and the signature."""
    update_wrapper(descriptor, function)
