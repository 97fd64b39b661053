"""The records of a preview of a prompt."""

from dealrec.client.records import Record


class Turn(Record):
    """One turn of a conversation."""

    role: str
    content: str


class ReadText(Record):
    """A sample as a language model reads it."""

    prompt: str
    answer: str
    """The loss is computed on its tokens only."""
    prompt_tokens: int
    answer_tokens: int
    left_out: str
    """The oldest words of the history, for which there is no room."""
    left_out_tokens: int


class PreviewedSample(Record):
    """A sample in words, and as the language model reads it."""

    sample_key: str
    messages: list[Turn]
    read: ReadText | None = None


class PromptPreview(Record):
    """Samples as a language model reads them."""

    object: str
    model: str
    format: str
    samples: list[PreviewedSample]
    not_counted: str | None = None
    """Why tokens were not counted, if they were not."""
