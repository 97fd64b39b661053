"""Advice on failed stages and rejected files whose own message gives none."""

_SMALLER = (
    "Give the machine more memory and retry, or start a new job like this one with smaller batches "
    "(batch_tokens, curvature_tokens). Finished stages are kept."
)
_AGAIN = (
    "Retry the job; finished stages are kept. If it fails again in the same way, send the log below "
    "to the operator of this server."
)
_JOB = {
    "stage_killed": _SMALLER,
    "stage_out_of_memory": _SMALLER,
    "stage_died": _AGAIN,
    "stage_raised": _AGAIN,
    "worker_lost": "Make sure that the workers keep running, then retry the job. Finished stages are kept.",
    "training_diverged": "Make a job like this one with a lower learning rate.",
    "non_finite_loss": "Make a job like this one with a lower learning rate.",
    "solver_diverged": "Start a new job like this one with more damping, or with the solver cg.",
    "model_not_available": "Install the model on every worker, then retry.",
}
_DATASET = {
    "missing_column": "Enter your columns’ names under “Other column names” below, and read the files again.",
    "too_many_rejected": "Correct the file, or raise “Allowed rejected” below and read the files again.",
    "nothing_left": "Relax the filters under “How rows are used” below, and read the files again.",
    "filter_not_possible": "Enter the column's name or remove the filter below, and read the files again.",
    "items_do_not_match": "Upload it again with the items file that belongs to these interactions.",
    "file_too_expensive": "Split the file, or ask the operator of this server for higher limits.",
}


def help_with_job(code: str | None) -> str:
    """Advise on a job that failed with this problem code."""
    return _JOB.get(
        code or "", "Start a new job like this one, and change the option that the message names."
    )


def help_with_dataset(code: str | None) -> str:
    """Advise on a data set that was rejected with this problem code."""
    return _DATASET.get(
        code or "", "Correct the file at the place in the message, and upload it again."
    )
