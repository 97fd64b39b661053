"""The order of rows, tokens and heads in which the parts of a layer see a batch."""

from enum import Enum, auto

from torch import Size, Tensor


class Layout(Enum):
    """How the tensors of a part of a layer are laid out for a batch of ``b`` texts of ``t`` tokens."""

    TOKENS = auto()
    """[b, t, …]"""
    FLAT = auto()
    """[b · t, …], as in OPT."""
    HEADS = auto()
    """[b, heads, t, …], as in the norms of queries and keys in Gemma 3."""

    @classmethod
    def of(cls, shape: Size, rows: int, length: int) -> "Layout | None":
        """Recognise the layout; ``None`` if it is another. No model has ``length`` heads."""
        if shape[:2] == (rows, length):
            return cls.TOKENS
        if shape[0] == rows * length:
            return cls.FLAT
        if len(shape) == 4 and (shape[0], shape[2]) == (rows, length):
            return cls.HEADS
        return None

    def by_tokens(self, values: Tensor, rows: int) -> Tensor:
        """Return ``values`` as [b, t, …]."""
        match self:
            case Layout.FLAT:
                return values.reshape(rows, -1, *values.shape[1:])
            case Layout.HEADS:
                return values.transpose(1, 2)
        return values
