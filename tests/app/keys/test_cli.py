"""Keys, tenants and the audit trail from the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from dealrec.app.cli import register


@pytest.fixture
def dealrec(tmp_path: Path):
    application = typer.Typer()
    register(application)

    def run(*words: str, status: int = 0) -> Any:
        result = CliRunner().invoke(application, [*words, "--data-dir", str(tmp_path), "--json"])
        assert result.exit_code == status, result.output
        return json.loads(result.stdout)

    return run


def test_a_key_is_made_with_scopes_listed_without_its_text_and_revoked(dealrec) -> None:
    made = dealrec("keys", "create", "ops", "--tenant", "team-a", "--scopes", "admin,read")
    assert made["scopes"] == ["read", "admin"]
    dealrec("keys", "create", "other")
    listed = dealrec("keys", "list", "--tenant", "team-a")
    assert [(one["id"], one["tenant"]) for one in listed] == [(made["id"], "team-a")]
    assert made["key"] not in json.dumps(listed)
    dealrec("keys", "revoke", made["id"])
    assert dealrec("keys", "list", "--tenant", "team-a")[0]["revoked_at"] is not None
    acts = dealrec("audit", "--tenant", "team-a")
    assert [(act["action"], act["object_id"], act["actor"]) for act in acts] == [
        ("key.revoke", made["id"], "command"),
        ("key.create", made["id"], "command"),
    ]
    assert made["key"] not in json.dumps(acts)
    assert len(dealrec("audit")) == 3


def test_a_tenant_is_given_quotas_and_the_defaults_back(dealrec) -> None:
    dealrec("tenants", "set", "team-a", "--stored-bytes", "1000", "--open-jobs", "none")
    (team,) = dealrec("tenants", "list")
    assert {one["quota"]: one["limit"] for one in team["quotas"]} == {
        "stored_bytes": 1000,
        "open_jobs": None,
        "gpu_seconds": None,
    }
    again = dealrec("tenants", "set", "team-a", "--stored-bytes", "default")
    assert [one["limit"] for one in again["quotas"]] == [None, None, None]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("keys", "create", "x", "--scopes", "root"), "invalid_scopes"),
        (("keys", "create", "x", "--tenant", "Team A"), "invalid_tenant"),
        (("keys", "create", " "), "invalid_name"),
        (("keys", "revoke", "key_none"), "not_found"),
        (("tenants", "set", "team-a", "--open-jobs", "many"), "invalid_quota"),
        (("tenants", "set", "team-a", "--stored-bytes", "-1"), "invalid_quota"),
    ],
)
def test_what_cannot_be_is_refused(dealrec, words, code) -> None:
    assert dealrec(*words, status=2)["code"] == code
