"""The budget of a job, given as a count, as a fraction, or as a target on a curve."""

from dataclasses import dataclass
from pathlib import Path

from dealrec.comparison.results import ComparisonReport
from dealrec.config import PruneConfig, parse_budget
from dealrec.config.curve import (
    COMMAND,
    Curve,
    TargetUse,
    no_curve,
    parse_target,
    require_curve_of,
    resolve_target,
)
from dealrec.errors import FieldError, InputError

_REPORT = "report.json"


@dataclass(frozen=True)
class AskedBudget:
    """A budget, or a target with the curve from which its budget follows."""

    budget: int | float | None
    target: float | None
    curve: Curve | None

    @classmethod
    def read(
        cls, budget: int | float | None, target: float | str | None, report: str | Path | None
    ) -> "AskedBudget":
        """Check the request; ``report`` is the report of a comparison, or its folder.

        Raises:
            InputError: ``invalid_budget``, ``invalid_target``, ``no_curve``.
        """
        if (budget is None) == (target is None):
            raise InputError(
                "Give a budget or a target."
                if budget is None
                else "Give a budget or a target, not both.",
                code="invalid_budget",
                errors=[FieldError("budget", "is required, or a `target` instead")],
            )
        if target is None:
            if report is not None:
                raise InputError(
                    "`target_from` needs a target, but none was given.",
                    code="invalid_target",
                    errors=[FieldError("target", "is required with `target_from`")],
                )
            return cls(parse_budget(budget), None, None)
        share = parse_target(target)
        if report is None:
            raise no_curve(
                f"A target needs a curve. Draw one with {COMMAND} and give its report (`--target-from "
                "REPORT`; `target_from` in the library), or give a budget instead."
            )
        return cls(None, share, read_curve(Path(report)))

    def resolved(
        self, dataset_sha256: str, config: PruneConfig
    ) -> tuple[int | float, TargetUse | None]:
        """Return the budget for a job on a data set, and the target from which it follows, if any.

        Raises:
            InputError: ``no_curve`` if the curve does not apply to the job.
        """
        if self.target is None or self.curve is None:
            assert self.budget is not None
            return self.budget, None
        require_curve_of(self.curve, dataset_sha256, config)
        use = resolve_target(self.target, self.curve)
        return use.samples, use


def read_curve(report: Path) -> Curve:
    """Read the curve of a comparison from its ``report.json``, or from the folder that holds it.

    Raises:
        InputError: ``no_curve``.
    """
    path = report.expanduser()
    path = path / _REPORT if path.is_dir() else path
    try:
        found = ComparisonReport.model_validate_json(path.read_text(encoding="utf-8")).curve
    except OSError:
        raise no_curve(f"{path} cannot be read.") from None
    except ValueError as error:
        raise no_curve(f"{path} is not the report of a comparison: {error}") from None
    if found is None:
        raise no_curve(f"The comparison in {path} has no curve. Draw one with {COMMAND}.")
    return found
