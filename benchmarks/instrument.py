"""Preference: exact, and several times as fast as title by title. Two rankings side by side.

``python -m benchmarks.instrument --data FOLDER`` on SmolLM2-135M and held-out users of the folder's
``interactions.csv.gz`` and ``items.csv.gz``.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from benchmarks._report import Target, finish, timed
from dealrec.config import EvaluationConfig, FinetuneConfig, LoraSettings, PromptConfig, Ranking
from dealrec.config.runtime import environment_runtime
from dealrec.data.dataset import Dataset
from dealrec.data.ingest import ingest
from dealrec.data.prompter import Prompter
from dealrec.data.samples import build_samples
from dealrec.finetune.trainer import LoraTraining
from dealrec.language_models import LoadedLanguageModel, load_language_model
from dealrec.recommenders.bigrec import BigRec
from dealrec.recommenders.held_out import held_out_users
from dealrec.recommenders.interface import Measurement
from dealrec.recommenders.titles import title_losses
from dealrec.runtime import apply_runtime

MODEL = "smollm2-135m"
PROMPT = PromptConfig()


def main() -> None:
    """Run all parts, or those asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--users", type=int, default=24, help="whose candidates are timed")
    parser.add_argument("--candidates", type=int, default=16)
    parser.add_argument(
        "--ranked", type=int, default=60, help="users whom both rankings are made for"
    )
    parser.add_argument("--samples", type=int, default=512, help="trained on before the rankings")
    parser.add_argument("--parts", nargs="+", default=["all layers", "kept layers", "rankings"])
    options = parser.parse_args()
    device = apply_runtime(environment_runtime())
    loaded = load_language_model(MODEL, dtype="float32", device=device)
    evaluation = EvaluationConfig(users=options.users, candidates=options.candidates)
    targets: list[Target] = []
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        files = options.data / "interactions.csv.gz", options.data / "items.csv.gz"
        dataset = ingest(files[0], items=files[1], out=work / "dataset").dataset
        if "all layers" in options.parts:
            targets += speed("all layers", BigRec(loaded, FinetuneConfig()), dataset, evaluation)
        if "kept layers" in options.parts:
            last = FinetuneConfig(lora=LoraSettings(last_layers=2))
            recommender = BigRec(loaded, last, work / "trunk")
            targets += speed("kept layers", recommender, dataset, evaluation)
        if "rankings" in options.parts:
            rankings(loaded, dataset, options.ranked, options.samples)
    finish("instrument", targets)


def speed(
    name: str, recommender: BigRec, dataset: Dataset, evaluation: EvaluationConfig
) -> list[Target]:
    """Read every prompt once with all titles behind it, and every title alone behind its prompt."""
    users = held_out_users(dataset, PROMPT, evaluation)
    outputs = [
        [users.titles.texts[place] for place in row]
        for row in users.titles.of_item[users.candidates].tolist()
    ]
    texts = recommender.encode_branched(users.prompts, outputs)
    tokens, alone = sum(map(len, texts)), sum(len(one) for text in texts for one in text.alone())
    recommender.keep(texts)
    seconds = []
    for _ in range(2):
        with timed() as watch:
            found = title_losses(recommender, texts)
        seconds.append(watch.seconds)
    with timed() as watch:
        exact = title_losses(recommender, texts, together=False)
    ratio, error = watch.seconds / float(np.mean(seconds)), float(np.abs(found - exact).max())
    print(
        f"{name}: {len(texts)} users, {found.shape[1]} titles each; together {tokens:,} tokens in "
        f"{seconds[0]:.1f} and {seconds[1]:.1f} s, one by one {alone:,} in {watch.seconds:.1f} s; "
        f"ratio {ratio:.2f}; largest difference {error:.1e} of {exact.max():.0f} nats",
        flush=True,
    )
    return [
        Target(f"{name}: times as fast as one by one", ">= 4", ratio, ratio >= 4),
        Target(f"{name}: largest difference in nats", "<= 1e-3", error, error <= 1e-3),
    ]


def rankings(loaded: LoadedLanguageModel, dataset: Dataset, users: int, samples: int) -> None:
    """Make both rankings for the same users with the model, and after it was trained on samples."""
    config = FinetuneConfig(epochs=1, learning_rate=1e-3, lora=LoraSettings(last_layers=8))
    recommender = BigRec(loaded, config)
    examinations = {}
    for ranking in Ranking:
        asked = EvaluationConfig(users=users, ranking_users=users, candidates=0, ranking=ranking)
        held_out = held_out_users(dataset, PROMPT, asked)
        with timed() as watch:
            examinations[ranking] = recommender.examination(dataset, held_out, asked)
        print(f"{ranking}: prepared in {watch.seconds:.1f} s", flush=True)
    for ranking, examination in examinations.items():
        _show(f"{ranking}, untrained", examination.measure())
    every = build_samples(dataset)
    prompter = Prompter(dataset, every, PROMPT)
    drawn = np.random.default_rng(0).choice(len(every), samples, replace=False)
    training = LoraTraining(recommender, [prompter.prompt(int(index)) for index in drawn], config)
    while not training.finished:
        training.advance()
    for ranking, examination in examinations.items():
        _show(f"{ranking}, after {samples} samples", examination.measure(training.model))


def _show(name: str, found: Measurement) -> None:
    figures = ", ".join(
        f"{metric} {found.means[metric]:.4f} ± {found.standard_errors[metric]:.4f}"
        for metric in ("ndcg@10", "recall@20")
    )
    print(f"{name}: {figures}; {found.seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
