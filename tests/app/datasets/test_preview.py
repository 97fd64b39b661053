"""Previews of prompts, and templates that attack."""

import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from dealrec.app.datasets import preview
from dealrec.config.model_entry import LanguageModel
from dealrec.language_models.preview import answered
from tests.app.conftest import Finisher
from tests.app.console.test_pages import token
from tests.dealrec.language_models.test_wording import chat_tokenizer
from tests.dealrec.language_models.tiny import tiny_model
from tests.dealrec.templating.hostile import HOSTILE

TEMPLATE = "{% for item in history %}{{ item.title }}\n{% endfor %}Next:"


def test_hostile_templates_are_refused_with_the_reason_within_two_seconds(
    client: TestClient, finisher: Finisher
) -> None:
    dataset = finisher.dataset().id
    for source, _ in HOSTILE.values():
        started = time.process_time()
        for path, body in (
            (f"/v1/datasets/{dataset}/prompt-preview", {"prompt": {"template": source}}),
            (
                "/v1/jobs",
                {"dataset_id": dataset, "budget": 5, "config": {"prompt": {"template": source}}},
            ),
        ):
            answer = client.post(path, json=body)
            assert answer.status_code == 422
            (error,) = answer.json()["errors"]
            assert error["location"].endswith("prompt.template")
            assert error["message"]
        assert time.process_time() - started < 2


def form_of(client: TestClient, finisher: Finisher) -> dict[str, str]:
    """The form of a new job."""
    return {"csrf": token(client), "dataset_id": finisher.dataset().id}


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A tiny model in a folder, which stands in the catalogue."""
    folder = tmp_path / "tiny"
    tiny_model().save_pretrained(folder)
    chat_tokenizer().save_pretrained(folder)
    entry = LanguageModel(name="tiny", folder=folder, tenants=("default",))
    monkeypatch.setattr(preview, "catalogue", lambda: {str(folder): entry})
    # The program that counts, without its own process: that takes seconds to load the libraries.
    monkeypatch.setattr(
        preview._COUNTING,
        "answer",
        lambda request: answered(request.encode()).model_dump_json().encode(),
    )
    return str(folder)


def test_a_preview_shows_what_the_model_reads_and_what_does_not_fit(
    client: TestClient, finisher: Finisher, model: str
) -> None:
    path = f"/v1/datasets/{finisher.dataset().id}/prompt-preview"
    prompt = {"template": TEMPLATE, "format": "chat", "system": "Hi {{ user }}."}
    whole = client.post(path, json={"prompt": prompt, "model": model}).json()["samples"][0]["read"]
    most = whole["prompt_tokens"] + whole["answer_tokens"] - 5
    body = {"prompt": prompt, "model": model, "max_tokens": most}
    found = client.post(path, json=body).json()
    assert (found["format"], found["not_counted"], len(found["samples"])) == ("chat", None, 3)
    longest, *_, shortest = found["samples"]
    read = longest["read"]
    assert read["left_out_tokens"] == len(read["left_out"]) == 5
    assert read["prompt_tokens"] + read["answer_tokens"] == most
    assert shortest["read"]["left_out"] == ""
    for sample in found["samples"]:
        system, request, answer = sample["messages"]
        assert system == {"role": "system", "content": f"Hi {sample['sample_key']}."}
        assert sample["read"]["answer"] == f"{answer['content']}<|im_end|>\n"
        kept = request["content"].removeprefix(sample["read"]["left_out"])
        assert f"<|im_start|>user\n{kept}<|im_end|>" in sample["read"]["prompt"]


def test_without_the_libraries_the_words_are_shown_and_why_nothing_is_counted(
    client: TestClient, finisher: Finisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "find_spec", lambda _: None)
    path = f"/v1/datasets/{finisher.dataset().id}/prompt-preview"
    found = client.post(path, json={"prompt": {"template": TEMPLATE}, "count": 2}).json()
    assert "libraries for language models" in found["not_counted"]
    assert [sample["read"] for sample in found["samples"]] == [None, None]
    assert found["samples"][0]["messages"][0]["content"].endswith("\nNext:")
    page = client.post("/console/jobs/prompt", data=form_of(client, finisher)).text
    assert "libraries for language models" in page
    assert "<mark>" in page


def test_the_form_shows_the_faults_of_a_template(client: TestClient, finisher: Finisher) -> None:
    form = form_of(client, finisher) | {"prompt.template": "{{ nothing }}"}
    page = client.post("/console/jobs/prompt", data=form).text
    assert "config.prompt.template" in page
    assert "not a name here" in page


def test_an_unknown_model_is_named(client: TestClient, finisher: Finisher) -> None:
    path = f"/v1/datasets/{finisher.dataset().id}/prompt-preview"
    answer = client.post(path, json={"model": "/etc/passwd"})
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_model")


def test_what_the_model_cannot_read_is_refused(
    client: TestClient, finisher: Finisher, model: str
) -> None:
    path = f"/v1/datasets/{finisher.dataset().id}/prompt-preview"
    body = {"prompt": {"template": TEMPLATE, "format": "chat"}, "model": model, "max_tokens": 16}
    answer = client.post(path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "max_tokens_too_small")
