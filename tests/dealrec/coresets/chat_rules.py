"""The rules by which chat fine-tuning APIs take a file, as they are published.

The checks and their names are those of the OpenAI cookbook ("Data preparation and analysis for chat model
fine-tuning"); the last turn, weights, the smallest file, its size and the longest example are from the
guide to supervised fine-tuning and the reference of the files API. A token has one byte at least, so
bytes bound the tokens from above.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

EXAMPLES, FILE_BYTES, EXAMPLE_TOKENS, TURN_TOKENS = 10, 512 * 2**20, 65_536, 3
_KEYS = {"role", "content", "name", "function_call", "weight"}
_ROLES = {"system", "user", "assistant", "function"}


def broken_rules(content: bytes) -> Counter[str]:
    """Count what is wrong with a file of JSON Lines, by rule."""
    examples = [json.loads(line) for line in content.splitlines()]
    found = Counter(rule for example in examples for rule in _of_example(example))
    found["too_few_examples"] += len(examples) < EXAMPLES
    found["file_too_large"] += len(content) > FILE_BYTES
    return +found


def _of_example(example: Any) -> Iterator[str]:
    if not isinstance(example, dict):
        yield "data_type"
        return
    messages = example.get("messages")
    if not messages:
        yield "missing_messages_list"
        return
    if set(example) - {"messages", "tools", "parallel_tool_calls"}:
        yield "example_unrecognized_key"
    for message in messages:
        yield from _of_message(message)
    roles = [message.get("role") for message in messages]
    if "assistant" not in roles:
        yield "example_missing_assistant_message"
    elif roles[-1] != "assistant":
        yield "last_message_not_assistant"
    if "system" in roles[1:]:
        yield "system_message_not_first"
    texts = [str(message.get("content", "")) for message in messages]
    if sum(len(text.encode()) + TURN_TOKENS for text in texts) > EXAMPLE_TOKENS:
        yield "example_too_long"


def _of_message(message: dict[str, Any]) -> Iterator[str]:
    if "role" not in message or "content" not in message:
        yield "message_missing_key"
    if set(message) - _KEYS:
        yield "message_unrecognized_key"
    if message.get("role") not in _ROLES:
        yield "unrecognized_role"
    content = message.get("content")
    if not (isinstance(content, str) and content.strip()) and not message.get("function_call"):
        yield "missing_content"
    if "weight" in message and (message["weight"] not in (0, 1) or message["role"] != "assistant"):
        yield "wrong_weight"
