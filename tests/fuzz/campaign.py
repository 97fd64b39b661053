"""One campaign of requests that are made from the OpenAPI document, and what it found."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder

from dealrec.app.gate.protocol import LONGEST_HEAD
from tests.fuzz.server import Server
from tests.fuzz.steering import Steering

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ensure_resource_availability",
)
"""All but ``positive_data_acceptance``: a budget above the samples is a number, and yet refused."""

_REFUSALS = (400, 401, 403, 404, 405, 406, 409, 415, 422, 428, 429)
_NEVER = {"GET /readyz", "GET /v1/adapters/{adapter_id}/merged"}
"""No worker runs, and the answer says so. The adapters here come from no training, so there is nothing to
merge; ``tests/worker/test_own_model.py`` merges a real one over HTTP."""


@dataclass(frozen=True)
class Depth:
    """How much of what the document allows is tried in one round."""

    examples: int = 40
    """The number of cases for each operation."""
    chains: int = 200
    """The number of chains of requests, each made from the answers before it."""
    coverage: bool = True
    """Whether every bound and every method is tried, too: thousands of cases."""


SHORT = Depth(examples=3, chains=8, coverage=False)


@dataclass
class Tally:
    """Cases that were answered, and what was wrong with answers."""

    cases: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    succeeded: dict[str, bool] = field(default_factory=dict)
    """Every operation that was asked for, and whether it ever answered 2xx."""
    failures: dict[tuple[str, str], str] = field(default_factory=dict)
    """The first of each kind: (operation, check) to what was sent and what came."""

    def take(self, recorder: ScenarioRecorder) -> None:
        """Count a scenario's requests, and keep its failures."""
        for identifier, interaction in recorder.interactions.items():
            status = 0 if interaction.response is None else interaction.response.status_code
            label = recorder.cases[identifier].value.operation.label
            self.cases += 1
            self.statuses[status] += 1
            self.succeeded[label] = self.succeeded.get(label, False) or status // 100 == 2
        for identifier, checks in recorder.checks.items():
            sent = recorder.interactions.get(identifier)
            if sent is not None and len(sent.request.uri) > LONGEST_HEAD:
                continue  # a text that the document allows, in more bytes than a head may have
            for check in checks:
                if check.status is Status.FAILURE and check.failure_info is not None:
                    label = recorder.cases[identifier].value.operation.label
                    found = check.failure_info
                    text = f"{found.failure.title}: {found.failure.message}\n{found.code_sample}"
                    response = getattr(sent, "response", None)
                    if response is not None:
                        text += f"\n{response.status_code} {response.content[:500]!r}"
                    self.failures.setdefault((label, check.name), text)

    def never_succeeded(self) -> list[str]:
        """The operations that no request has got through to."""
        return sorted(
            label for label, once in self.succeeded.items() if not once and label not in _NEVER
        )


def run_campaign(server: Server, *, cases: int, seed: int, depth: Depth) -> Tally:
    """Rounds, each from a seed of its own, until ``cases`` were answered."""
    tally = Tally()
    while tally.cases < cases:
        for event in _round(server, seed, depth):
            if isinstance(event, events.ScenarioFinished):
                tally.take(event.recorder)
            elif isinstance(event, events.NonFatalError):
                tally.failures[(event.label, "error")] = str(event.value)
            elif isinstance(event, events.FatalError):
                raise event.exception
        seed += 1
    return tally


def _round(server: Server, seed: int, depth: Depth) -> Iterator[Any]:
    document = httpx.get(f"{server.url}/openapi.json", timeout=120).raise_for_status().json()
    config = SchemathesisConfig.from_dict(_configuration(server, seed, depth))
    schema = schemathesis.openapi.from_dict(document, config=config)
    steering = Steering(server)

    def before_call(context: Any, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
        steering.steer(case)

    schemathesis.hook(before_call)
    try:
        yield from from_schema(schema).execute()
    finally:
        schemathesis.hooks.unregister(before_call)


def _configuration(server: Server, seed: int, depth: Depth) -> dict[str, Any]:
    values = {
        **server.ids,
        "against": server.ids["coreset_id"],
        "budgets": ["5", "2,5,9"],
        "sample_key": ["u1", "u7"],
    }
    return {
        "base-url": server.url,
        "headers": server.headers,
        "seed": seed,
        "continue-on-failure": True,
        "suppress-health-check": ["all"],
        "request-timeout": 120,
        "generation": {"max-examples": depth.examples, "no-shrink": True},
        "cache": {"enabled": False},
        "checks": {
            "enabled": False,
            **{name: {"enabled": True} for name in CHECKS},
            # 413: what breaks a `maxItems` of thousands may be above the limit of bytes as well.
            "negative_data_rejection": {"expected-statuses": [*_REFUSALS, 413]},
        },
        "operations": [
            {
                "include-operation-id": "get_readiness",
                "checks": {"not_a_server_error": {"expected-statuses": ["2xx", "4xx", 503]}},
            }
        ],
        "phases": {
            "examples": {"enabled": depth.coverage},
            "coverage": {"enabled": depth.coverage},
            "stateful": {"generation": {"max-examples": depth.chains}},
        },
        "dictionaries": {name: {"values": given} for name, given in values.items()},
        "parameters": {
            f"{'path' if name in server.ids else 'query'}.{name}": {
                "dictionary": name,
                "probability": 0.7,
            }
            for name in values
        },
    }
