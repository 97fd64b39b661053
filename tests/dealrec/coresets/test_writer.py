"""Coresets of any size are written a part at a time."""

import numpy as np
import pyarrow.parquet as pq

from dealrec.config import PruneConfig, Sampling
from dealrec.coresets import writer
from dealrec.coresets.writer import write_coreset
from dealrec.data.ingest import ingest
from dealrec.data.samples import build_samples
from dealrec.data.synthetic import write_sample_data
from dealrec.data.times import TimeUnit, date_of
from dealrec.reports.report import write_report
from dealrec.selection.interface import Scores
from dealrec.selection.select import select


def test_the_parts_in_which_members_are_written_do_not_change_them(tmp_path, monkeypatch):
    write_sample_data(tmp_path, users=60, items=40)
    dataset = ingest(tmp_path / "interactions.csv", out=tmp_path / "dataset").dataset
    samples = build_samples(dataset, Sampling.PER_INTERACTION)
    scores = Scores(samples.keys(dataset), samples.positions.astype(float), None)
    config = PruneConfig.parse(
        {
            "effort": None,
            "sampling": "per_interaction",
            "selection": {"method": "influence_strata"},
        }
    )
    tables, coresets = [], []
    for rows in (writer.MEMBER_ROWS, 30):
        monkeypatch.setattr(writer, "MEMBER_ROWS", rows)
        out = tmp_path / str(rows)
        coresets.append(
            write_coreset(
                dataset,
                samples,
                scores,
                select(scores, 100, config.selection),
                config=config,
                budget_requested=100,
                facts={},
                out=out,
            )
        )
        write_report(out, out / "report.html")
        tables.append(pq.read_table(out / "members.parquet"))
    assert pq.ParquetFile(out / "members.parquet").num_row_groups == 4
    assert tables[0].equals(tables[1])
    assert coresets[0] == coresets[1]


def test_the_manifest_and_the_page_say_how_old_the_targets_are(tmp_path):
    write_sample_data(tmp_path, users=60, items=40)
    dataset = ingest(tmp_path / "interactions.csv", out=tmp_path / "dataset").dataset
    samples = build_samples(dataset)
    config = PruneConfig.parse({"selection": {"method": "recent", "window": 0.1}})
    scores = Scores(samples.keys(dataset), np.zeros(len(samples)), None, times=samples.target_times)
    chosen = select(scores, 5, config.selection)
    written = write_coreset(
        dataset, samples, scores, chosen, config=config, budget_requested=5, facts={}, out=tmp_path
    )
    found, times = written.manifest["times"], samples.target_times
    assert found is not None and times is not None
    own = np.sort(times[chosen.indices]).tolist()
    assert found["coreset"] == [own[0], own[2], own[-1]]
    assert found["all_samples"][::2] == [times.min(), times.max()]
    assert found["all_samples"][1] < found["coreset"][0]
    write_report(tmp_path, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    unit = TimeUnit(found["unit"] or "")
    assert all(date_of(time, unit) in page for time in (own[0], own[-1]))
