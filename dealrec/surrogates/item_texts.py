"""Vectors of the words in items' titles and other texts."""

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from threadpoolctl import threadpool_limits

from dealrec.data.dataset import Dataset
from dealrec.errors import FieldError, InputError

_WORD = r"(?u)\b\w+\b"


def text_vectors(dataset: Dataset, size: int) -> npt.NDArray[np.float32]:
    """Compute [I, size] vectors: TF-IDF of the words, brought to ``size`` numbers by truncated SVD.

    A vector has the length ``√size``, so that its numbers are about 1. It is 0 for an item without a word,
    and has zeros at its end if the texts have fewer words than ``size``. The data set alone decides: no
    interaction is read, so an item that nobody has chosen has a vector like any other.

    Raises:
        InputError: ``no_item_texts`` if no item has a title of its own or another text.
    """
    nameless = pc.equal(
        dataset.titles, dataset.item_ids
    )  # the title of an item without one is its id
    if pc.all(nameless).as_py() and not dataset.item_texts:
        raise InputError(
            "The surrogate `content` reads the texts of items, but the items of this data set have "
            "none. Give an items file with titles, or use another `surrogate.model`.",
            code="no_item_texts",
            title="The items have no texts",
            errors=[FieldError("config.surrogate.model", "the items have no texts")],
        )
    titles = pc.if_else(nameless, None, dataset.titles)
    columns = [titles, *dataset.item_texts.values()]
    rows = zip(*(column.to_pylist() for column in columns), strict=True)
    texts = [" ".join(text for text in row if text) for row in rows]
    words = TfidfVectorizer(sublinear_tf=True, token_pattern=_WORD).fit_transform(texts)
    kept = min(size, *(number - 1 for number in words.shape))
    vectors = np.zeros((len(texts), size), np.float32)
    if kept > 0:
        with threadpool_limits(limits=1):  # the last digits depend on the number of threads
            vectors[:, :kept] = TruncatedSVD(kept, random_state=0).fit_transform(words)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: npt.NDArray[np.float32] = np.divide(
        vectors * np.float32(size**0.5), lengths, out=np.zeros_like(vectors), where=lengths > 0
    )
    return scaled
