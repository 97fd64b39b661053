"""Jobs: creating, finding and listing them, and estimates of their cost."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Unpack

from dealrec.client.binding import operation, sequence
from dealrec.client.exchange import ask, plain, without_none
from dealrec.client.records import Area, Estimate, M
from dealrec.client.resources import Job, create_job
from dealrec.client.transport import Request
from dealrec.config import PruneConfig
from dealrec.config.comparison_options import ComparisonOptions
from dealrec.config.continuation import Continuation

Config = PruneConfig | Mapping[str, Any]
"""Options of a job; the service has defaults for those that are left out."""


class Jobs(Area[M]):
    """The jobs of the key's tenant."""

    @operation
    async def create(
        self,
        dataset_id: str,
        *,
        budget: float | None = None,
        target: float | str | None = None,
        config: Config | None = None,
        metadata: Mapping[str, str] | None = None,
        continue_from: str | None = None,
        continuation: Continuation | Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Job[M]:
        """Start a job that makes a coreset; ``budget`` is a count, or a fraction below 1.

        A ``target`` instead of a budget is a share of what all samples give, such as ``95 % of full``;
        the service then takes the budget from the curve of a finished comparison. ``continue_from`` is
        the id of a finished job, usually on the previous version, from which the job continues, and
        ``continuation`` says how.
        """
        body = job_body(dataset_id, config, metadata, budget=budget, target=target)
        body |= _going_on(continue_from, continuation)
        return await create_job(self.transport, "/v1/jobs", body, idempotency_key)

    @operation
    async def estimate(
        self,
        dataset_id: str,
        *,
        budget: float | None = None,
        target: float | str | None = None,
        config: Config | None = None,
        continue_from: str | None = None,
        continuation: Continuation | Mapping[str, Any] | None = None,
    ) -> Estimate:
        """Estimate the cost of such a job without starting it."""
        body = job_body(dataset_id, config, None, budget=budget, target=target)
        body |= _going_on(continue_from, continuation)
        answer = await ask(self.transport, Request("POST", "/v1/estimates", json=body))
        return Estimate.model_validate(answer.json())

    @operation
    async def compare(
        self,
        dataset_id: str,
        *,
        metadata: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[ComparisonOptions],
    ) -> Job[M]:
        """Start a comparison of selectors: ``seeds`` trainings of each at each budget.

        A selector is a name, or a mapping with a name and options. With a ``curve`` random selection is
        also trained on at these budgets, which shows how many samples are enough. :meth:`Job.report`
        fetches the result.
        """
        body = comparison_body(dataset_id, options, metadata)
        return await create_job(self.transport, "/v1/comparisons", body, idempotency_key)

    @operation
    async def estimate_comparison(
        self, dataset_id: str, **options: Unpack[ComparisonOptions]
    ) -> Estimate:
        """Estimate the cost of such a comparison with all its trainings, without starting it."""
        body = comparison_body(dataset_id, options)
        answer = await ask(self.transport, Request("POST", "/v1/estimates/comparison", json=body))
        return Estimate.model_validate(answer.json())

    @operation
    async def get(self, identifier: str) -> Job[M]:
        """Fetch one job with its stages in their present state."""
        return await Job[M].fetched(self.transport, identifier)

    @sequence
    async def list(
        self,
        *,
        state: str | None = None,
        dataset_id: str | None = None,
        kind: str | None = None,
        schedule_id: str | None = None,
    ) -> AsyncIterator[Job[M]]:
        """List all jobs, newest first, or those of a state, data set, kind or schedule."""
        query = {"state": state, "dataset_id": dataset_id, "kind": kind, "schedule_id": schedule_id}
        async for job in Job[M].listed(self.transport, query):
            yield job


def job_body(
    dataset_id: str,
    config: Config | None,
    metadata: Mapping[str, str] | None,
    *,
    budget: float | None,
    target: float | str | None,
) -> dict[str, object]:
    """The body of a request for a job."""
    given = {
        "budget": budget,
        "target": target,
        "config": None if config is None else plain(config),
        "metadata": metadata,
    }
    return {"dataset_id": dataset_id, **without_none(given)}


def _going_on(
    continue_from: str | None, continuation: Continuation | Mapping[str, Any] | None
) -> dict[str, object]:
    how = None if continuation is None else plain(continuation)
    return without_none({"continue_from": continue_from, "continuation": how})


def comparison_body(
    dataset_id: str,
    options: ComparisonOptions,
    metadata: Mapping[str, str] | None = None,
) -> dict[str, object]:
    """The body of a request for a comparison; options that are ``None`` are left out."""
    config = options.get("config")
    given = {**options, "config": None if config is None else plain(config), "metadata": metadata}
    return {"dataset_id": dataset_id, **without_none(given)}
