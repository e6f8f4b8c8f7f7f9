"""CM-NAS's genotype files: one integer per norm site, 0 split and 1 share, in the order of construction."""

from collections.abc import Mapping
from typing import Any

from nas_reid.errors import GenotypeError
from nas_reid.genotype import Genotype
from search_spaces.norm_sites.sites import CHOICES
from search_spaces.norm_sites.space import NormSites


def from_integers(text: str, *, arguments: Mapping[str, Any], origin: str) -> Genotype:
    """The genotype of a file of CM-NAS.

    Args:
        text: its content, integers apart by blanks or commas.
        arguments: of the space; the published networks have depth 50, width 1.0 and last_stride 1.
        origin: file name, for messages and provenance.

    Raises:
        GenotypeError: anything but zeros and ones, or another number of them than the network has sites.
    """
    space = NormSites(**arguments)
    words = text.replace(",", " ").split()
    wrong = [word for word in words if word not in ("0", "1")]
    if wrong or len(words) != len(space.sites):
        raise GenotypeError(f"{origin} holds {len(words)} entries" + (f", such as {wrong[0]!r}" if wrong else "")
                            + f"; expected {len(space.sites)} zeros (split) and ones (share), one for each norm of "
                            f"ResNet-{space.arguments['depth']}")
    body = {site: CHOICES[int(word)] for site, word in zip(space.sites, words, strict=True)}
    return Genotype(space.name, space.version, body, arguments=space.arguments,
                    provenance={"kind": "imported", "from": origin})
