"""Networks that treat visible and infrared images apart, and data that have one of the two alone."""

import logging

from torch import Tensor, nn

log = logging.getLogger(__name__)


def warn_of_a_single_modality(network: nn.Module, modalities: Tensor, *, data: str) -> None:
    """Say so when a network of two streams gets images of one modality.

    Args:
        network: one with a part whose ``streams`` is 2.
        modalities: of all images, 0 visible or 1 infrared.
        data: name of the data set.
    """
    kinds = modalities.unique().tolist()
    if len(kinds) == 1 and any(getattr(module, "streams", 1) > 1 for module in network.modules()):
        alone, idle = ("visible", "infrared") if kinds == [0] else ("infrared", "visible")
        log.warning("all images of %s are %s and the network treats %s ones apart, whose parts do "
                    "nothing here. Data of both: data=synthetic_ir, sysu_mm01, regdb or llcm", data, alone, idle)
