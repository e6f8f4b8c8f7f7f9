"""The pictures of a run in the order in which people ask, each with a sentence that says what to see in it."""

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import NamedTuple

from nas_reid.record.page import picture


class Caption(NamedTuple):
    """What is said of the pictures of one name, those of further data sets (``<name>_<data>.png``) included."""

    name: str
    title: str
    says: str


SECTIONS: dict[str, tuple[Caption, ...]] = {
    "What was found": (
        Caption("cells", "The architecture",
                "What the genotype consists of: each op stands on its connection, or each choice beside its place."),
        Caption("front", "What it costs",
                "Every candidate by mAP and cost; those on the line are beaten by none."),
    ),
    "Does it work": (
        Caption("ranked_lists", "Ranked lists",
                "Each row is a query and what the network finds most alike. Look at the wrong ones: are they people "
                "whom you would confuse, too?"),
        Caption("cmc", "CMC", "The share of queries whose person is found within so many images."),
        Caption("distances", "Distances of pairs",
                "The less the two heaps overlap, the better a threshold can decide whether two images show the same "
                "person."),
        Caption("roc", "Verification", "Which share of true pairs is accepted, at which share of false ones."),
        Caption("cameras", "Pairs of cameras",
                "mAP from each camera to each other one: where it is low, the views differ most. Cameras are "
                "called as the data set calls them."),
    ),
    "Why": (
        Caption("alphas", "Alphas",
                "How sure the search was: a row with one dark field is decided, a pale one could have gone either way. "
                "Framed fields are in the genotype."),
        Caption("supernet", "The supernet", "Every connection with its likeliest op; the thicker, the likelier."),
        Caption("activations", "Activations",
                "Where the network's last map is large. It should be on the person, not on the ground."),
        Caption("gates", "Gates", "Each row holds images whose gates are alike: what the network tells apart."),
    ),
}
_SHOWN_OTHERWISE = ("training",)  # as charts of the page


def pictures_html(output_dir: Path) -> str:
    """All pictures of a run, by section; those of unknown names come last, with their names."""
    paths = {path.stem: path for path in sorted((output_dir / "pictures").glob("*.png"))
             if path.stem not in _SHOWN_OTHERWISE}
    parts, shown = [], set[str]()
    for section, captions in SECTIONS.items():
        figures = dict(found for caption in captions for found in _figures(caption, paths))
        shown |= figures.keys()
        parts.append(f"<h2>{section}</h2>{''.join(figures.values())}" if figures else "")
    rest = "".join(f"<figure>{picture(path, name)}<figcaption>{escape(name.replace('_', ' '))}</figcaption></figure>"
                   for name, path in paths.items() if name not in shown)
    return "".join(parts) + (f"<h2>More</h2>{rest}" if rest else "")


def _figures(caption: Caption, paths: dict[str, Path]) -> Iterator[tuple[str, str]]:
    for name, path in paths.items():
        if name == caption.name or name.startswith(f"{caption.name}_"):
            data = name.removeprefix(caption.name).removeprefix("_")
            title = caption.title + (f", {data}" if data else "")
            yield name, (f"<figure><figcaption><b>{escape(title)}.</b> {escape(caption.says)}</figcaption>"
                         f"{picture(path, title)}</figure>")
