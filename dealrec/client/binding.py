"""One implementation serves both clients: the blocking client runs each coroutine to its end at once.

Every method is a coroutine over a :class:`~dealrec.client.transport.Transport`. On an
:class:`~dealrec.client.transport.AsyncTransport` it is an ordinary coroutine. On a
:class:`~dealrec.client.transport.BlockingTransport` no ``await`` ever suspends, because the transport
has already slept, sent or read when it returns; a single step finishes the coroutine without an event
loop.

The descriptors below turn a method into the blocking or the awaitable form, which depends on the
transport of its object, and tell type checkers which form it is.
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
    """An object that asks the service through a transport."""

    @property
    def transport(self) -> M_co:
        """The transport, which is blocking or asynchronous."""


class operation(Generic[P, T_co]):  # noqa: N801 - used as a decorator
    """Makes a method that asks the service blocking or awaitable."""

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
    """Makes a method that asks the service entry by entry a plain or an asynchronous iterator."""

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
    """Makes a method an attribute whose value is fetched from the service when it is read."""

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
    """Run a coroutine that never suspends, and return its result.

    Raises:
        RuntimeError: The coroutine suspended.
    """
    try:
        coroutine.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    coroutine.close()
    raise RuntimeError("a coroutine of the blocking client was suspended")


def _in_turn(things: AsyncGenerator[T, None]) -> Generator[T, None, None]:
    """Iterate over an asynchronous generator that never suspends, and close it at the end."""
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
    """Give the descriptor the docstring and signature that ``help`` shows."""
    update_wrapper(descriptor, function)
