"""Samples with every score and vector that any selector looks at."""

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from dealrec.config import Difficulty, SelectionConfig, SelectionMethod, StratumEdges, TurnVectors
from dealrec.selection.interface import Scores
from dealrec.selection.titles import NO_TITLE, AskedUsers, TitleTable
from dealrec.selection.vectors import Vectors

DAY = 86_400
QUICK = {"exchanges": 3, "rounds": 3, "training_epochs": 2}
"""Options with which selectors that train or exchange take no time."""
finite = st.floats(-1e6, 1e6)


def whole_scores(size, seed=0, few=False, dimension=3):
    """``size`` samples; with ``few`` there are ties in everything."""
    rng = np.random.default_rng(seed)

    def scores():
        return rng.integers(0, 3, size).astype(float) if few else rng.normal(size=size)

    def vectors():
        found = rng.normal(size=(size + 5, dimension)).astype(np.float32)
        found = np.round(found) if few else found
        return Vectors(found[:size], found[size:])

    def titles():
        places = rng.integers(0, 8, size=(size + 6, 4), dtype=np.int32)
        places[::3, 2:] = NO_TITLE
        states = vectors().samples if few else rng.normal(size=(8, 5)).astype(np.float32)
        return TitleTable(
            np.resize(states, (8, 5)).astype(np.float32),
            places[:size],
            rng.integers(0, 8, size, dtype=np.int32),
            AskedUsers(
                places[size:],
                rng.permuted(np.arange(8, dtype=np.int32)[None].repeat(6, 0), axis=1)[:, :4],
            ),
        )

    return Scores(
        keys=pa.array([f"user-{number}" for number in range(size)]),
        influence=scores(),
        effort=scores() + 10,
        targets=rng.integers(0, max(1, size // 3), size).astype(np.int32),
        history_lengths=rng.integers(1, 20, size),
        el2n=np.abs(scores()),
        grand=np.abs(scores()),
        embedding=vectors(),
        gradients=vectors(),
        times=rng.integers(0, 5 if few else 1000, size) * DAY + 1_600_000_000,
        day=DAY,
        likelihood=-np.abs(scores()),
        ifd=np.abs(scores()),
        titles=titles(),
    )


@st.composite
def score_sets(draw, most=60):
    return whole_scores(
        draw(st.integers(1, most)), seed=draw(st.integers(0, 10_000)), few=draw(st.booleans())
    )


def configs(methods=tuple(SelectionMethod)):
    return st.builds(
        SelectionConfig,
        method=st.sampled_from(methods),
        effort_weight=st.sampled_from([0.0, 0.3, 2.0]),
        strata=st.sampled_from([1, 2, 7, 50, 500]),
        stratum_edges=st.sampled_from(StratumEdges),
        hard_prune=st.sampled_from([0.0, 0.1, 0.9]),
        length_strata=st.sampled_from([1, 4]),
        harmful_prune=st.sampled_from([0.0, 0.25, 0.9]),
        difficulty=st.sampled_from(Difficulty),
        clusters=st.sampled_from([1, 3, 50]),
        neighbours=st.sampled_from([1, 5]),
        exchanges=st.just(3),
        rounds=st.just(3),
        training_epochs=st.just(2),
        pool=st.sampled_from([1, 20_000]),
        per_target=st.sampled_from([1, 3]),
        tilt=st.sampled_from([0.0, 1.0, 5.0]),
        window=st.sampled_from([0.01, 0.25, 1.0]),
        turn_vectors=st.sampled_from(TurnVectors),
        score_weight=st.sampled_from([0.0, 1.0]),
        diversity_weight=st.sampled_from([0.0, 1.0]),
        band=st.sampled_from([0.01, 0.5, 1.0]),
        half_life=st.sampled_from([None, 0.1, 30.0]),
        seed=st.integers(0, 5),
    )
