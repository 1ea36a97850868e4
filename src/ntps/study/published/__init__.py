"""What the paper's authors published: their numbers, and what follows from them."""

from ntps.study.published.coefficients import (
    RELATIONS,
    PublishedCoefficient,
    Relation,
    published_coefficients,
    published_means,
)
from ntps.study.published.reader import Published, pairs_swept, read_published, short_name

__all__ = [
    "RELATIONS",
    "Published",
    "PublishedCoefficient",
    "Relation",
    "pairs_swept",
    "published_coefficients",
    "published_means",
    "read_published",
    "short_name",
]
