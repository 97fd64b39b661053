"""Files of models that have a head and no weights to speak of."""

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SHAPES = {
    "model.embed_tokens.weight": (50, 4),
    "model.layers.0.self_attn.q_proj.weight": (4, 4),
    "model.layers.0.self_attn.v_proj.weight": (4, 4),
    "model.layers.0.mlp.experts.0.up_proj.weight": (8, 4),
    "model.norm.weight": (4,),
}


def safetensors_folder(
    folder: Path,
    shapes: Mapping[str, Sequence[int]] = SHAPES,
    config: Mapping[str, Any] | None = None,
    tokens: int = 50,
) -> Path:
    """Make a folder of bfloat16 zeros."""
    folder.mkdir(parents=True, exist_ok=True)
    head, end = {}, 0
    for name, shape in shapes.items():
        size = 2
        for length in shape:
            size *= length
        head[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    written = json.dumps(head).encode()
    (folder / "model.safetensors").write_bytes(
        struct.pack("<Q", len(written)) + written + bytes(end)
    )
    (folder / "config.json").write_text(
        json.dumps(config or {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"]})
    )
    vocabulary = {f"t{number}": number for number in range(tokens)}
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}}))
    return folder
