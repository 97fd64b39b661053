"""Configurations with which other trainers train on an export as DEALRec does.

Their options are those of TRL 1 (``trl sft --config``), Axolotl (``axolotl train``) and LLaMA-Factory
(``llamafactory-cli train``).
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dealrec.config.effort import LossSpan
from dealrec.config.finetune import ALL_LINEAR, FinetuneConfig
from dealrec.config.language_models import adapted_modules, language_model
from dealrec.config.model_entry import AUTO
from dealrec.config.recommenders import BIGREC
from dealrec.coresets.formats import CoresetFormat
from dealrec.coresets.trainer_options import FurtherOptions

TRL, AXOLOTL, LLAMA_FACTORY = "trl.yaml", "axolotl.yaml", "llamafactory.yaml"
DATASET_INFO = "dataset_info.json"
TRL_SCRIPT = "trl_train.py"
COMMANDS = {
    TRL: "trl sft --config trl.yaml",
    AXOLOTL: "axolotl train axolotl.yaml",
    LLAMA_FACTORY: "llamafactory-cli train llamafactory.yaml",
}
_ROLES = {"role_tag": "role", "content_tag": "content"}
_SPEAKERS = {"user_tag": "user", "assistant_tag": "assistant", "system_tag": "system"}


@dataclass(frozen=True)
class TrainingFile:
    """The file that a trainer reads."""

    name: str
    """Its place in the folder of the configurations."""
    rows: CoresetFormat
    """The shape of its rows."""
    samples: int

    @property
    def loader(self) -> str:
        """The builder of ``datasets`` that opens it."""
        return "parquet" if self.name.endswith(".parquet") else "json"

    @property
    def are_turns(self) -> bool:
        """Whether its rows are conversations, which a chat template puts into words."""
        return self.rows not in (CoresetFormat.ALPACA, CoresetFormat.PROMPT_COMPLETION)


@dataclass(frozen=True)
class Trainers:
    """The configurations for one file and one fine-tuning."""

    config: FinetuneConfig
    file: TrainingFile

    def files(self) -> Iterator[tuple[str, str]]:
        """Iterate over the names and the contents of the files that go beside the data."""
        yield TRL, _yaml(self.trl())
        if self.file.rows in _AS_PAIR:
            yield TRL_SCRIPT, _SCRIPT.format(as_pair=_AS_PAIR[self.file.rows])
        if self.file.rows is not CoresetFormat.CONVERSATIONAL:
            yield AXOLOTL, _yaml(self.axolotl())
            yield LLAMA_FACTORY, _yaml(self.llama_factory())
            yield DATASET_INFO, json.dumps({"train": self._description()}, indent=2) + "\n"

    def trl(self) -> dict[str, Any]:
        """Options of TRL's ``SFTConfig``, ``ModelConfig`` and ``DatasetMixtureConfig``."""
        config, rows = self.config, self.file.rows
        named = config.lora.target_modules
        source: dict[str, Any] = {"path": self.file.loader, "data_files": self.file.name}
        if self.file.loader == "parquet":
            turns = rows is CoresetFormat.MESSAGES
            source["columns"] = ["messages"] if turns else ["prompt", "completion"]
        loss: dict[str, Any] = {"completion_only_loss": self._answers_alone}
        if rows is CoresetFormat.MESSAGES:
            loss = {"assistant_only_loss": self._answers_alone}
        return {
            "model_name_or_path": self._model,
            **({"model_revision": self._revision} if self._revision else {}),
            "dtype": config.dtype,
            "bf16": config.dtype == "bfloat16",
            "datasets": [source],
            "max_length": config.max_tokens,
            "packing": False,
            **loss,
            "use_peft": True,
            "lora_r": config.lora.rank,
            "lora_alpha": self._alpha,
            "lora_dropout": config.lora.dropout,
            **(
                {"lora_target_modules": self._trl_targets}
                if named != (AUTO,) or self._targets
                else {}
            ),
            "num_train_epochs": config.epochs,
            "per_device_train_batch_size": config.batch_size,
            **self._further.trl(),
            **self._optimizer(),
            "optim": "adamw_torch",
            "seed": config.seed,
            "data_seed": config.seed,
            "logging_steps": 10,
            "report_to": "none",
            "output_dir": "adapter",
        }

    def axolotl(self) -> dict[str, Any]:
        """Options of Axolotl."""
        config = self.config
        return {
            "base_model": self._model,
            **({"revision_of_model": self._revision} if self._revision else {}),
            "bf16": config.dtype == "bfloat16",
            "float32": config.dtype == "float32",
            "datasets": [self._for_axolotl()],
            "sequence_len": config.max_tokens,
            "excess_length_strategy": "truncate",
            "sample_packing": False,
            "train_on_inputs": not self._answers_alone,
            "lora_r": config.lora.rank,
            "lora_alpha": self._alpha,
            "lora_dropout": config.lora.dropout,
            **(
                {"lora_target_linear": True}
                if self._targets in ([], [ALL_LINEAR])
                else {"lora_target_modules": self._targets}
            ),
            "num_epochs": config.epochs,
            "micro_batch_size": config.batch_size,
            **self._further.axolotl(),
            "learning_rate": config.learning_rate,
            "lr_scheduler": "linear",
            "warmup_steps": self._warmup_steps,
            "weight_decay": config.weight_decay,
            "max_grad_norm": config.max_gradient_norm,
            "optimizer": "adamw_torch",
            "seed": config.seed,
            "logging_steps": 10,
            "output_dir": "adapter",
        }

    def llama_factory(self) -> dict[str, Any]:
        """Options of LLaMA-Factory; ``dataset_info.json`` beside them describes the file."""
        config = self.config
        return {
            "stage": "sft",
            "do_train": True,
            "model_name_or_path": self._model,
            **({"model_revision": self._revision} if self._revision else {}),
            "bf16": config.dtype == "bfloat16",
            "dataset_dir": ".",
            "dataset": "train",
            **({} if self.file.are_turns else {"template": self._template}),
            "cutoff_len": config.max_tokens,
            "packing": False,
            "train_on_prompt": not self._answers_alone,
            "finetuning_type": "lora",
            "lora_rank": config.lora.rank,
            "lora_alpha": self._alpha,
            "lora_dropout": config.lora.dropout,
            "lora_target": (
                "all" if self._targets in ([], [ALL_LINEAR]) else ",".join(self._targets)
            ),
            "num_train_epochs": config.epochs,
            "per_device_train_batch_size": config.batch_size,
            **self._further.llama_factory(),
            **self._optimizer(),
            "optim": "adamw_torch",
            "seed": config.seed,
            "data_seed": config.seed,
            "logging_steps": 10,
            "report_to": "none",
            "output_dir": "adapter",
        }

    def notes(self) -> list[str]:
        """Say what the configurations cannot say, and where they differ from our own training."""
        return [*self._notes_on_rows(), *self._notes_on_model(), *self._further.notes()]

    def _notes_on_rows(self) -> Iterator[str]:
        rows = self.file.rows
        if self.file.samples < MINIMUM and rows is CoresetFormat.MESSAGES:
            yield (
                f"Chat fine-tuning APIs need at least {MINIMUM} examples, but the file has "
                f"{self.file.samples}."
            )
        if rows is CoresetFormat.CONVERSATIONAL:
            yield (
                "Axolotl and LLaMA-Factory do not read this format; use the format `messages`, which "
                "has the same turns."
            )
        if rows in _AS_PAIR:
            yield (
                f"TRL cannot train on this format, so `{TRL_SCRIPT}` converts its rows into prompts and "
                "completions."
            )
        if rows is CoresetFormat.ALPACA:
            yield (
                "Axolotl and LLaMA-Factory put their own words around the three texts. The format "
                "`prompt_completion` has exactly the text that DEALRec reads."
            )
        if rows is CoresetFormat.PROMPT_COMPLETION:
            yield "LLaMA-Factory's template `empty` adds no end-of-text token after the answer."
        if rows is CoresetFormat.MESSAGES and self._answers_alone:
            yield (
                "TRL finds the assistant's words by markers in the chat template, which it can add "
                "for common models. If it refuses a template, use the format `conversational`."
            )
        yield (
            f"If a sample has more than {self.config.max_tokens:,} tokens, DEALRec leaves "
            "out the oldest items of its history; these trainers cut off its end."
        )

    def _notes_on_model(self) -> Iterator[str]:
        config, entry = self.config, language_model(self.config.model)
        if config.recommender != BIGREC:
            yield (
                "These trainers teach the model to write the answers. They do not support the "
                f"recommender `{config.recommender}`, which learns something else."
            )
        if config.model.endswith(".gguf") or (entry is not None and entry.may_be_gguf):
            yield (
                f"`{config.model}` is a GGUF file, which these trainers do not read. Replace it with "
                "the name or the folder of a model in safetensors."
            )
        if not self._targets:
            yield (
                "Axolotl and LLaMA-Factory do not support `auto` target modules, so they adapt all "
                "linear layers here. TRL adapts those that peft names for the model's family, like "
                "DEALRec."
            )
        if config.lora.last_layers is not None:
            yield (
                f"`lora.last_layers` is {config.lora.last_layers}, but these configurations adapt all layers."
            )
        if config.lora.alpha != self._alpha:
            yield (
                f"`lora.alpha` is {config.lora.alpha:g}; these trainers need a whole number, so "
                f"they get {self._alpha}."
            )

    @property
    def _answers_alone(self) -> bool:
        return self.config.loss_on is LossSpan.ANSWER

    @property
    def _model(self) -> str:
        entry = language_model(self.config.model)
        if entry is not None and entry.folder is not None:
            return entry.folder.name  # a server's paths are not for others
        return (entry.repository if entry else None) or self.config.model

    @property
    def _revision(self) -> str | None:
        entry = language_model(self.config.model)
        return entry.revision if entry is not None and entry.repository is not None else None

    @property
    def _targets(self) -> list[str]:
        """The names of the adapted layers; none where only the model can tell."""
        named = self.config.lora.target_modules
        if named != (AUTO,):
            return list(named)
        listed = adapted_modules(self.config.model, named)
        return [] if listed == (AUTO,) else list(listed)

    @property
    def _trl_targets(self) -> list[str]:
        """As :attr:`_targets`; TRL takes a single name for a pattern of whole paths."""
        if len(self._targets) == 1 and self._targets != [ALL_LINEAR]:
            return [rf"(.*\.)?{re.escape(self._targets[0])}"]
        return self._targets

    @property
    def _alpha(self) -> int:
        return max(1, round(self.config.lora.alpha))

    @property
    def _warmup_steps(self) -> int:
        return math.ceil(self.config.warmup_fraction * self._further.steps)

    @property
    def _further(self) -> FurtherOptions:
        return FurtherOptions(self.config, self.file.samples)

    @property
    def _template(self) -> str:
        return "alpaca" if self.file.rows is CoresetFormat.ALPACA else "empty"

    def _optimizer(self) -> dict[str, Any]:
        return {
            "learning_rate": self.config.learning_rate,
            "lr_scheduler_type": "linear",
            "warmup_steps": self._warmup_steps,
            "weight_decay": self.config.weight_decay,
            "max_grad_norm": self.config.max_gradient_norm,
        }

    def _for_axolotl(self) -> dict[str, Any]:
        source = {"path": self.file.name, "ds_type": self.file.loader, "split": "train"}
        match self.file.rows:
            case CoresetFormat.ALPACA:
                return {**source, "type": "alpaca"}
            case CoresetFormat.PROMPT_COMPLETION:
                whole = {"format": "{instruction}", "no_input_format": "{instruction}"}
                fields = {"field_instruction": "prompt", "field_output": "completion"}
                return {**source, "type": {**fields, **whole}}
        trained = ["assistant"] if self._answers_alone else ["system", "user", "assistant"]
        turns = {**source, "type": "chat_template", "roles_to_train": trained}
        if self.file.rows is CoresetFormat.SHAREGPT:
            named = {"role": "from", "content": "value"}
            return {**turns, "field_messages": "conversations", "message_property_mappings": named}
        return {**turns, "field_messages": "messages"}

    def _description(self) -> dict[str, Any]:
        """The entry of ``dataset_info.json``."""
        named = {"file_name": self.file.name}
        match self.file.rows:
            case CoresetFormat.ALPACA:
                texts = {"prompt": "instruction", "query": "input", "response": "output"}
                return {**named, "formatting": "alpaca", "columns": texts}
            case CoresetFormat.PROMPT_COMPLETION:
                texts = {"prompt": "prompt", "response": "completion"}
                return {**named, "formatting": "alpaca", "columns": texts}
            case CoresetFormat.SHAREGPT:
                return {
                    **named,
                    "formatting": "sharegpt",
                    "columns": {"messages": "conversations"},
                }
        columns, tags = {"messages": "messages"}, {**_ROLES, **_SPEAKERS}
        return {**named, "formatting": "sharegpt", "columns": columns, "tags": tags}


MINIMUM = 10
"""Examples that chat fine-tuning APIs ask for."""

_AS_PAIR = {
    CoresetFormat.ALPACA: """\
    lines = [row["instruction"], row["input"]] if row["input"] else [row["instruction"]]
    return {"prompt": "\\n".join([*lines, "Next:"]), "completion": f" {row['output']}"}""",
    CoresetFormat.SHAREGPT: """\
    roles = {"system": "system", "human": "user", "gpt": "assistant"}
    *prompt, answer = [
        {"role": roles[turn["from"]], "content": turn["value"]} for turn in row["conversations"]
    ]
    return {"prompt": prompt, "completion": [answer]}""",
}
"""How a row becomes one that TRL trains on with the loss on the answer alone, where it is none."""
_SCRIPT = '''\
"""Trains with TRL on rows that it does not know: `python trl_train.py`."""

from trl import DatasetMixtureConfig, ModelConfig, SFTConfig, SFTTrainer, TrlParser
from trl import get_dataset, get_peft_config, get_quantization_config


def as_pair(row):
{as_pair}


parser = TrlParser((SFTConfig, ModelConfig, DatasetMixtureConfig))
training, model, data = parser.parse_args_and_config(["--config", "trl.yaml"])
training.model_init_kwargs = dict(dtype=model.dtype, revision=model.model_revision)
rows = get_dataset(data)
pairs = rows.map(as_pair, remove_columns=rows["train"].column_names)
trainer = SFTTrainer(
    model=model.model_name_or_path,
    args=training,
    train_dataset=pairs["train"],
    eval_dataset=pairs.get("test"),
    quantization_config=get_quantization_config(model),
    peft_config=get_peft_config(model),
)
trainer.train()
trainer.save_model(training.output_dir)
'''


def _yaml(options: Mapping[str, Any]) -> str:
    """Write options as YAML, of which JSON's values are a part."""
    return "".join(f"{name}: {_value(value)}\n" for name, value in options.items())


def _value(value: Any) -> str:
    """As JSON, but for floats: YAML 1.1 takes ``1e-05`` for a text, and ``1.0e-05`` for a number."""
    text = json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and "e" in text and "." not in text:
        return text.replace("e", ".0e")
    return text
