"""One query against one gallery, of the several that the protocol of a data set may ask for."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Trial:
    """Which images of two lists query which, and how that is scored.

    Args:
        name: of the setting, such as "all-search single-shot"; results are means over the trials of one name, and
            the first name of a data set is its headline.
        query, gallery: positions in the query and in the gallery list.
        junk: name of the junk rule, a key of ``evaluation.protocol.JUNK_RULES``.
        cmc: "images": the rank of the first match among all images. "identities": among people, of each of whom only
            the first image in the ranking counts. AP and INP are over images in any case.
    """

    name: str
    query: Sequence[int]
    gallery: Sequence[int]
    junk: str = "same_camera"
    cmc: str = "images"
