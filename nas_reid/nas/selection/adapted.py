"""Training a candidate's own ops a little before it is looked at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nas_reid.nas.selection.supernet import Supernet
from nas_reid.search_space import Mix


@dataclass(frozen=True)
class Adapted:
    """A supernet that is trained on under a candidate's mixing weights before it scores them, and then is as before.

    Candidates that share weights resemble one another; each one's own steps tell them apart.

    Args:
        supernet: that scores.
        train: trains the weights of the supernet's network under mixing weights.
    """

    supernet: Supernet
    train: Callable[[Mapping[str, Mix]], None]

    def evaluate(self, mixes: Mapping[str, Mix], share: float = 1.0) -> float:
        """mAP under the mixing weights after the training; see ``Supernet.evaluate``."""
        network = self.supernet.network
        before = {name: value.clone() for name, value in network.state_dict().items()}
        try:
            self.train(mixes)
            return self.supernet.evaluate(mixes, share)
        finally:
            network.load_state_dict(before)
