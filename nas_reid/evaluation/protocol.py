"""Which gallery images count for a query, and which of them are right."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, isin, where

from nas_reid.errors import DataError
from nas_reid.evaluation.distance import DistanceBlocks

JunkRule = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def same_identity_and_camera(query_pids: Tensor, query_camids: Tensor, gallery_pids: Tensor,
                             gallery_camids: Tensor) -> Tensor:
    """The usual junk rule as a bool mask [b, N_g]; queries come as [b, 1], the gallery as [N_g]."""
    return (query_pids == gallery_pids) & (query_camids == gallery_camids)


def same_room(query_pids: Tensor, query_camids: Tensor, gallery_pids: Tensor, gallery_camids: Tensor) -> Tensor:
    """SYSU-MM01's junk rule (Wu et al., ICCV 2017): no image from the query's room counts, whoever is on it.

    Its cameras 2 (visible) and 3 (infrared), here 1 and 2, look at one room; every other camera at one of its own.
    """
    query_rooms, gallery_rooms = (where(camids == 2, 1, camids) for camids in (query_camids, gallery_camids))
    return (query_rooms == gallery_rooms).expand(len(query_pids), len(gallery_pids))


def same_place(query_pids: Tensor, query_camids: Tensor, gallery_pids: Tensor, gallery_camids: Tensor) -> Tensor:
    """The junk rule where images of the same camera count: only the image itself, and those of its sequence, do not.

    Cameras are places of ``nas_reid.data.places``. As open-metric-learning: whoever is on the images of a sequence.
    """
    return (query_camids == gallery_camids).expand(len(query_pids), len(gallery_pids))


JUNK_RULES: dict[str, JunkRule] = {"same_camera": same_identity_and_camera, "same_room": same_room,
                                   "same_camera_allowed": same_place}
"""Name that a ``Trial`` gives -> rule."""


@dataclass(frozen=True)
class Labels:
    """Who and where the images of both sides are, and what follows for a block of queries.

    Attributes:
        query_pids, query_camids: [N_q].
        gallery_pids, gallery_camids: [N_g].
        junk: the junk rule.
    """

    query_pids: Tensor
    query_camids: Tensor
    gallery_pids: Tensor
    gallery_camids: Tensor
    junk: JunkRule

    def to(self, distances: DistanceBlocks) -> "Labels":
        """The same labels where the distances are, checked against their shape.

        Raises:
            DataError: a length differs.
        """
        lengths = tuple(map(len, (self.query_pids, self.query_camids, self.gallery_pids, self.gallery_camids)))
        expected = (distances.shape[0],) * 2 + (distances.shape[1],) * 2
        if lengths != expected:
            raise DataError(f"query pids and camids, gallery pids and camids have lengths {lengths}; "
                            f"the distances need {expected}")
        return Labels(self.query_pids.to(distances.device), self.query_camids.to(distances.device),
                      self.gallery_pids.to(distances.device), self.gallery_camids.to(distances.device), self.junk)

    def masks(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Bool masks [stop - start, N_g] of what queries ``start`` to ``stop - 1`` ignore, and of their matches."""
        pids, camids = self.query_pids[start:stop, None], self.query_camids[start:stop, None]
        is_junk = self.junk(pids, camids, self.gallery_pids, self.gallery_camids) | (self.gallery_pids == -1)
        return is_junk, (pids == self.gallery_pids) & ~is_junk

    def why_no_match(self) -> str:
        """The message for a protocol in which no query can be scored."""
        shared = int(isin(self.query_pids, self.gallery_pids).sum())
        return (f"none of the {len(self.query_pids)} queries has a match in the gallery of "
                f"{len(self.gallery_pids)} images: {shared} of them have their identity there at all, but only as "
                "junk (same identity and same camera). A query needs a gallery image of the same pid from another "
                "camera; check how pids and camids are read, or let all other images of the identity count with "
                "evaluation.protocol=same_camera_allowed")
