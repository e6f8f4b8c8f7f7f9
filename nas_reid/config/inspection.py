"""Types and ranges of ``python -m nas_reid.inspect``."""

from dataclasses import dataclass

from nas_reid.config.groups import DataConfig, Rules, is_one_of
from nas_reid.data.places import PROTOCOLS


@dataclass
class InspectConfig:
    """``python -m nas_reid.inspect``."""

    data: DataConfig
    protocol: str | None           # as evaluation.protocol of the other commands
    decode: bool
    duplicates: bool
    identities: int                # rows of the contact sheet
    columns: int                   # of it, at most

    def rules(self) -> Rules:
        """Refuses an unknown protocol and a contact sheet of nothing."""
        if self.protocol is not None:
            yield "protocol", *is_one_of(self.protocol, PROTOCOLS)
        yield "identities", 1 <= self.identities <= 1_000, "must be 1 to 1,000"
        yield "columns", 1 <= self.columns <= 100, "must be 1 to 100"
