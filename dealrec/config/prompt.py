"""Options of the words around a sample."""

from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import Field, ValidationInfo, field_validator

from dealrec.config.base import Config, unless
from dealrec.errors import FieldError, InputError


class PromptFormat(StrEnum):
    """How the turns of a sample become the text that a language model reads."""

    AUTO = "auto"
    """``chat`` if the model's entry in the catalogue says so, otherwise ``plain``."""
    PLAIN = "plain"
    """The turns follow one another without special marks, and the answer comes after them."""
    CHAT = "chat"
    """The model's own chat template marks the turns, and the answer is the turn of the assistant."""


@dataclass(frozen=True)
class Wording:
    """The templates of a prompt that has a name."""

    template: str
    answer: str = "{{ target.title|quoted }}"
    system: str = ""


@dataclass
class AskedFields:
    """The data that templates need from a data set."""

    times: str = ""
    """The template that looks at times; empty where none does."""
    ratings: str = ""
    """The template that looks at ratings; empty where none does."""
    texts: dict[str, set[str]] = field(default_factory=dict)
    """The names of the texts of items that each template asks for."""


PLAIN = "plain"
"""The prompt that version 0.1.0 had; it needs no template."""
WORDINGS = {
    PLAIN: Wording(
        "Here is what a user chose, oldest first. Name the {{ noun }} that comes next.\n"
        '{{ history|map(attribute="title")|map("quoted")|join(", ") }}\n'
        "Next:"
    ),
    "bigrec": Wording(
        "Below is an instruction that describes a task, paired with an input that provides further "
        "context. Write a response that appropriately completes the request.\n\n"
        "### Instruction:\n"
        "Given {{ history|length }} {{ noun }}s that the user chose recently, please recommend a new "
        "{{ noun }} that the user likes to the user.\n\n"
        "### Input:\n"
        "The user has chosen the following {{ noun }}s before: "
        '{{ history|map(attribute="title")|map("quoted")|join(", ") }}\n\n'
        "### Response:\n"
    ),
    "chat": Wording(
        "These are the {{ noun }}s that I chose, oldest first:\n"
        "{% for item in history %}{{ loop.index }}. {{ item.title }}\n{% endfor %}"
        "Which {{ noun }} do I choose next?",
        system="You know what people choose. Answer with the title of one {{ noun }} in double quotes, "
        "and with nothing else.",
    ),
}
"""The prompts that have a name. Where the words of one change, the stages that read texts get another
version."""


class PromptConfig(Config):
    """The wording of samples."""

    item_noun: str = Field("item", min_length=1, max_length=40, pattern=r"^[\w][\w \-]*$")
    """The word for an item in the prompt (``book``, ``game``)."""
    history_items: int = Field(10, ge=1, le=200)
    """The number of items of the history in the prompt; the most recent ones are shown."""
    title_characters: int = Field(120, ge=8, le=2000)
    """The largest number of characters of a title. A longer one is cut at the end of a word."""
    text_characters: int = Field(1000, ge=8, le=10_000, exclude_if=unless(1000))
    """The same for the other texts of an item, if a template shows them."""
    template: str = Field(PLAIN, min_length=1, max_length=10_000, exclude_if=unless(PLAIN))
    """The words before the answer: ``plain``, ``bigrec``, ``chat``, or a Jinja2 template of your own that
    uses ``history``, ``user`` and ``noun``."""
    answer: str | None = Field(None, min_length=1, max_length=2000, exclude_if=unless(None))
    """The template of the answer, which uses ``target``. If not set, the answer is the title in double
    quotes."""
    system: str | None = Field(None, max_length=10_000, exclude_if=unless(None))
    """The template of the system turn, which may use ``user``. If not set, a named prompt has its own."""
    format: PromptFormat = Field(PromptFormat.AUTO, exclude_if=unless(PromptFormat.AUTO))
    """Whether language models read the samples in their chat template. With ``auto``, the catalogue of
    models decides."""

    @field_validator("template", "answer", "system")
    @classmethod
    def _usable(cls, source: str | None, info: ValidationInfo) -> str | None:
        part = info.field_name or ""
        if source and not (part == "template" and source in WORDINGS):
            try:
                from dealrec.templating.trial import require_usable
            except ModuleNotFoundError:  # a client without Jinja2; the server checks
                return source
            items, characters = (
                info.data.get(name, 10) for name in ("history_items", "title_characters")
            )
            require_usable(part, source, items, characters)
        return source

    @property
    def wording(self) -> Wording:
        """The templates, with those of the named prompt where no others are given."""
        named = WORDINGS.get(self.template) or Wording(self.template)
        return Wording(
            named.template,
            named.answer if self.answer is None else self.answer,
            named.system if self.system is None else self.system,
        )

    @property
    def fields(self) -> "AskedFields":
        """The data that the templates need, as far as it can be read from them."""
        asked = AskedFields()
        if self.is_plain:
            return asked
        from dealrec.templating.sandbox import LOOP_FIELDS
        from dealrec.templating.trial import answer_template, request_template
        from dealrec.templating.views import CHOICE

        wording = self.wording
        for part, template in (
            ("template", request_template(wording.template)),
            ("answer", answer_template(wording.answer)),
        ):
            names = template.fields
            asked.times = asked.times or (part if names & {*CHOICE} - {"rating"} else "")
            asked.ratings = asked.ratings or (part if "rating" in names else "")
            texts = {name.removeprefix("text:") for name in names - {*CHOICE, "title", "id"}}
            asked.texts[part] = texts - LOOP_FIELDS
        return asked

    @property
    def is_plain(self) -> bool:
        """Whether these are the words of version 0.1.0."""
        return self.template == PLAIN and self.answer is None and not self.system


NO_RATINGS = (
    "uses ratings, which the data set does not have. Add a `rating` column to the interactions and "
    "read them again with `data.ratings`"
)


def prompt_not_possible(part: str, reason: str) -> InputError:
    """Make the error of a template that cannot be used with a data set; ``part`` is its option."""
    return InputError(
        f"`prompt.{part}` {reason}.",
        code="prompt_not_possible",
        title="The prompt cannot be made from the data",
        errors=[FieldError(f"config.prompt.{part}", reason)],
    )
