"""Samples as a language model reads them: the text with all marks, its tokens, and what is left out.

As a program it reads a :class:`~dealrec.data.preview.ReadRequest` from standard input and writes a
:class:`~dealrec.data.preview.ReadAnswer`, for the service, which loads no language models itself.
"""

import sys
from collections.abc import Sequence

from dealrec.config.prompt import PromptFormat
from dealrec.data.preview import ReadAnswer, ReadRequest, ReadText
from dealrec.data.prompts import PromptedSample
from dealrec.errors import DealrecError
from dealrec.language_models.loading import load_tokenizer
from dealrec.language_models.tokens import Encoder, reads_chat


def read_texts(samples: Sequence[PromptedSample], model: str, max_tokens: int) -> ReadAnswer:
    """Tokenize samples of one format as effort and fine-tuning do; no weights are loaded.

    Raises:
        InputError: ``unknown_model``, ``model_not_available``, ``max_tokens_too_small``,
            ``no_chat_template``, ``chat_template_not_usable``.
    """
    tokenizer, longest = load_tokenizer(model)
    chat = reads_chat(model, tokenizer)
    encoder = Encoder(tokenizer, min(max_tokens, longest or max_tokens), chat=chat)
    texts = []
    for sample, encoded in zip(samples, encoder.encode(samples), strict=True):
        left_out = encoder.left_out(sample)
        texts.append(
            ReadText(
                prompt=tokenizer.decode(encoded.ids[: encoded.answer]),
                answer=tokenizer.decode(encoded.ids[encoded.answer :]),
                prompt_tokens=encoded.answer,
                answer_tokens=len(encoded) - encoded.answer,
                left_out=tokenizer.decode(left_out),
                left_out_tokens=len(left_out),
            )
        )
    asked = samples[0].format if samples else PromptFormat.PLAIN
    if asked is PromptFormat.AUTO:
        asked = PromptFormat.CHAT if chat else PromptFormat.PLAIN
    return ReadAnswer(format=asked, texts=texts)


def main() -> None:
    """Answer the request on standard input."""
    sys.stdout.write(answered(sys.stdin.buffer.read()).model_dump_json())


def answered(request: bytes) -> ReadAnswer:
    """Answer a request in JSON; what goes wrong is in the answer."""
    asked = ReadRequest.model_validate_json(request)
    try:
        return read_texts(asked.samples, asked.model, asked.max_tokens)
    except DealrecError as error:
        return ReadAnswer(problem=error.to_problem())


if __name__ == "__main__":
    main()
