"""Lists and dictionaries of modules whose members a type checker knows; when a program runs they are torch's own.

``self.parts: ModuleListOf[Head] = ModuleListOf(heads)`` is an ``nn.ModuleList`` of which ``self.parts[0]`` is a
``Head`` and not just any module.
"""

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView
    from typing import Generic, TypeVar

    _Member = TypeVar("_Member", bound=nn.Module)

    class ModuleListOf(nn.ModuleList, Generic[_Member]):
        """``nn.ModuleList`` of one kind of module."""

        def __init__(self, modules: Iterable[_Member] = ()) -> None: ...
        def __getitem__(self, index: int) -> _Member: ...  # type: ignore[override]  # torch's takes slices too
        def __iter__(self) -> Iterator[_Member]: ...

    class ModuleDictOf(nn.ModuleDict, Generic[_Member]):
        """``nn.ModuleDict`` of one kind of module."""

        def __init__(self, modules: Mapping[str, _Member] = ...) -> None: ...
        def __getitem__(self, key: str) -> _Member: ...
        def items(self) -> ItemsView[str, _Member]:
            """Name and member of each, in order."""
            ...

        def values(self) -> ValuesView[_Member]:
            """The members, in order."""
            ...
else:
    ModuleListOf, ModuleDictOf = nn.ModuleList, nn.ModuleDict
