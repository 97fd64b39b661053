"""Steers requests to where there is something to find.

What is made from the document alone rarely hits a data set that exists, a part of the right length
or a file that is a table. So requests that are valid by the document get such values now and then;
those that are made to be refused stay as they are.
"""

import itertools
import json
from typing import Any

from schemathesis import Case, GenerationMode

from tests.fuzz.objects import PART
from tests.fuzz.server import COMPARISON, HOOK, PAUSED, Server
from tests.fuzz.tables import tables
from tests.worker.makers import TINY

_KEY = "Idempotency-Key"
_FORMS: dict[str, dict[str, Any]] = {
    "create_dataset": {},
    "append_to_dataset": {},
    "prune": {"budget": "10", "config": json.dumps(TINY)},
}


class Steering:
    """Changes requests in place; what all requests stand on is never deleted, an upload stays open."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._spare = {name: list(ids) for name, ids in server.spare.items()}
        self._count = itertools.count()
        self._tables = tables(0)

    def steer(self, case: Case) -> None:
        """Called before a request leaves."""
        if _KEY in case.headers and self._one_in(4) is False:
            case.headers[_KEY] = f"fuzz-{next(self._count)}"
        if case.method == "DELETE":
            self._protect(case)
        open_upload = self._server.ids["upload_id"][-1]
        if case.path.endswith("/complete") and open_upload in case.path_parameters.values():
            case.path_parameters["upload_id"] = self._server.ids["upload_id"][0]
        if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
            return
        if self._one_in(2):
            operation = case.operation.definition.raw.get("operationId", "")
            self._fill(case, operation)
            self._fill_webhook(case, operation)

    def _fill_webhook(self, case: Case, operation: str) -> None:
        if operation == "create_webhook" and isinstance(case.body, dict):
            case.body = {**case.body, "url": HOOK}
        elif operation == "redeliver":
            for name in ("webhook_id", "delivery_id"):
                case.path_parameters[name] = self._server.ids[name][0]

    def _one_in(self, number: int) -> bool:
        return next(self._count) % number == 0

    def _protect(self, case: Case) -> None:
        for name, value in case.path_parameters.items():
            if value in self._server.ids.get(name, ()):
                spare = self._spare.get(name)
                case.path_parameters[name] = spare.pop() if spare else f"{value[:-4]}zzzz"

    def _fill(self, case: Case, operation: str) -> None:
        if operation in ("create_job", "create_estimate") and isinstance(case.body, dict):
            dataset = self._server.ids["dataset_id"][0]
            case.body = {**case.body, "dataset_id": dataset, "budget": 10, "config": TINY}
        elif operation == "create_schedule" and isinstance(case.body, dict):
            order: dict[str, Any] = {"budget": 10, "config": TINY}
            dataset = self._server.ids["dataset_id"][0]
            case.body = {**case.body, "dataset_id": dataset, "job": order}
        elif operation in _FORMS and isinstance(case.body, dict):
            if case.media_type == "multipart/form-data":
                table: dict[str, Any] = {"interactions": next(self._tables)}
                case.body = {**case.body, **table, **_FORMS[operation]}
        elif operation == "put_upload_part":
            case.path_parameters |= {"upload_id": self._server.ids["upload_id"][-1], "number": 1}
            case.body = PART
        elif operation in ("create_comparison", "create_comparison_estimate"):
            dataset = self._server.ids["dataset_id"][0]
            asked: dict[str, Any] = {
                "budgets": [3],
                "selectors": ["random"],
                "seeds": 2,
                "config": TINY,
            }
            case.body = {"dataset_id": dataset, **asked}
        elif operation == "resume_job" and self._spare[PAUSED]:
            case.path_parameters["job_id"] = self._spare[PAUSED].pop()
        elif operation == "get_comparison_report":
            case.path_parameters["job_id"] = self._spare[COMPARISON][0]
        elif operation == "create_coreset":
            case.body = {"budget": 7}
