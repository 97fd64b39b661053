"""The same steps on the same batches by our trainer and by TRL's ``SFTTrainer``."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dealrec.config import PromptConfig
from dealrec.config.finetune import FinetuneConfig
from dealrec.data.ingest import ingest
from dealrec.data.prompter import Prompter
from dealrec.data.prompts import PromptedSample
from dealrec.data.samples import build_samples
from dealrec.data.synthetic import write_sample_data
from dealrec.finetune.schedule import Schedule
from dealrec.finetune.trainer import LoraTraining
from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.language_models.quiet import quiet_transformers
from dealrec.language_models.targets import target_modules
from dealrec.recommenders.registry import make_recommender


@dataclass(frozen=True)
class Timed:
    """The steps of one training."""

    losses: list[float]
    """The loss of each step."""
    tokens: int
    """The tokens of the samples, padding not counted."""
    wall: float
    cpu: float
    """Seconds of processor time; on a busy machine they count, not those of the wall."""
    memory_mib: float
    """The largest memory that was allocated on a GPU; 0 on a CPU."""

    def rate(self, device: str) -> float:
        """Tokens a second: of processor time on a CPU, and of the wall on a GPU."""
        return self.tokens / (self.cpu if device == "cpu" else self.wall)


def made_up_samples(count: int, history: int) -> list[PromptedSample]:
    """Samples of made-up interactions with titles, of about 80 tokens where ``history`` is 8."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        write_sample_data(scratch, users=max(40, 2 * count), items=300)
        data = ingest(
            scratch / "interactions.csv", items=scratch / "items.csv", out=scratch / "dataset"
        ).dataset
        prompter = Prompter(data, build_samples(data), PromptConfig(history_items=history))
        return [prompter.prompt(index) for index in range(count)]


def ours(
    loaded: LoadedLanguageModel, samples: list[PromptedSample], config: FinetuneConfig
) -> Timed:
    """Train with our trainer, and give the model back without the adapter."""
    training = LoraTraining(make_recommender(loaded, config), samples, config)

    def run() -> list[float]:
        while not training.finished:
            training.advance()
        return training.losses

    found = _timed(run, training, loaded)
    training.detach()
    return found


def trls(
    loaded: LoadedLanguageModel, samples: list[PromptedSample], config: FinetuneConfig
) -> Timed:
    """Train with ``SFTTrainer``, with the same settings, tokens, labels and order of the samples."""
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    encoded = make_recommender(loaded, config).encode(samples)
    schedule = Schedule(config, len(samples))
    order = [index for step in range(schedule.steps) for index in schedule.batch(step)]
    rows = {
        "input_ids": [encoded[index].ids for index in order],
        "labels": [
            [-100] * encoded[index].answer + encoded[index].ids[encoded[index].answer :]
            for index in order
        ],
    }
    settings = config.lora
    lora = LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=target_modules(loaded.model, loaded.name, settings.target_modules),
    )
    with tempfile.TemporaryDirectory() as folder, quiet_transformers():
        arguments = SFTConfig(
            output_dir=folder,
            max_steps=schedule.steps,
            per_device_train_batch_size=config.batch_size,
            gradient_accumulation_steps=config.gradient_accumulation,
            learning_rate=config.learning_rate,
            lr_scheduler_type="linear",
            warmup_steps=max(1, round(config.warmup_fraction * schedule.steps)),
            weight_decay=config.weight_decay,
            max_grad_norm=config.max_gradient_norm,
            optim="adamw_torch",
            bf16=config.dtype == "bfloat16",
            gradient_checkpointing=config.activation_checkpointing,
            train_sampling_strategy="sequential",
            dataset_kwargs={"skip_prepare_dataset": True},
            logging_steps=1,
            disable_tqdm=True,
            report_to="none",
            save_strategy="no",
            use_cpu=loaded.device.type == "cpu",
            seed=config.seed,
        )
        trainer = SFTTrainer(
            loaded.model,
            args=arguments,
            train_dataset=Dataset.from_dict(rows),
            processing_class=loaded.tokenizer,
            peft_config=lora,
        )

        def run() -> list[float]:
            trainer.train()
            return [row["loss"] for row in trainer.state.log_history if "loss" in row]

        found = _timed(run, trainer, loaded, sum(len(encoded[index]) for index in order))
        trainer.model.unload()
    loaded.model.requires_grad_(requires_grad=False)
    if hasattr(loaded.model, "peft_config"):
        del loaded.model.peft_config
    return found


def _timed(
    run: Callable[[], list[float]], training: Any, loaded: LoadedLanguageModel, tokens: int = 0
) -> Timed:
    on_gpu = loaded.device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.synchronize()
    wall, cpu = time.perf_counter(), time.process_time()
    losses = run()
    if on_gpu:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - wall, time.process_time() - cpu
    memory = torch.cuda.max_memory_allocated() / 2**20 if on_gpu else 0.0
    return Timed(losses, tokens or training.tokens, *seconds, memory)
