"""Reading a table: every line checked, looked up by genotype, described by what it says about the space."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from nas_reid.errors import NasReidError
from nas_reid.files.foreign import read_text, user_path
from nas_reid.genotype import Genotype

FORMAT_VERSION = 1


class TableError(NasReidError):
    """A table is missing, damaged, of another recipe, or does not hold what is asked for."""


@dataclass(frozen=True)
class Line:
    """One training.

    Attributes:
        genotype: body of the genotype; its arguments are the recipe's.
        origin: where it comes from: ``random 17`` is the seventeenth drawn by lot, others are names or files.
        seed: of the training; the people who are trained, validated and tested on are the same for all lines.
        curve: epoch, counted from 1 -> validation mAP in [0, 1].
        test: data set -> ``mAP`` and ``rank1`` on its unseen people, in [0, 1].
        params, macs: of the network with its head; MACs per image.
        seconds: processor time of the training.
        recipe: digest of everything else that decides the result, see ``Table.recipe``.
        versions: of the package, torch and the generator of the drawn people.
        path: decision -> choice of every row that runs the genotype in a supernet; None where the space itself can tell
            (``one_hot``).
    """

    genotype: Mapping[str, Any]
    origin: str
    seed: int
    curve: Mapping[int, float]
    test: Mapping[str, Mapping[str, float]]
    params: int
    macs: int
    seconds: float
    recipe: str
    versions: Mapping[str, Any]
    path: Mapping[str, Sequence[int]] | None = None

    @property
    def mAP(self) -> float:
        """Mean test mAP over the data sets."""
        return fmean(metrics["mAP"] for metrics in self.test.values())

    @property
    def validation(self) -> float:
        """Validation mAP after the last epoch."""
        return self.curve[max(self.curve)]

    def to_json(self) -> str:
        """The line as it stands in the file, without its end."""
        return json.dumps({"format_version": FORMAT_VERSION, **vars(self)}, separators=(",", ":"))

    @staticmethod
    def from_json(text: str, *, origin: str) -> "Line":
        """Parse and check a line.

        Raises:
            TableError: not JSON, of another format version, or a field is missing, unknown or of another type.
        """
        try:
            content = json.loads(text)
            version = content.pop("format_version")
            if version != FORMAT_VERSION:
                raise TableError(f"{origin} has format_version {version}; this nas_reid reads {FORMAT_VERSION}")
            curve = {int(epoch): float(mAP) for epoch, mAP in content.pop("curve").items()}
            line = Line(**content, curve=curve)
            _ = line.mAP, line.validation, line.seed + line.params + line.macs + line.seconds
        except TableError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise TableError(f"{origin} is not a line of a table ({type(error).__name__}: {error}); delete it, and "
                             "nas_reid.tabulate trains it again") from None
        return line


@dataclass(frozen=True)
class Entry:
    """What a table says of one genotype: means over the seeds.

    Attributes:
        mAP: on unseen people, in [0, 1]; always after the last epoch.
        validation: mAP on the validation people after the epoch that was asked for.
        lines: the trainings.
    """

    mAP: float
    validation: float
    lines: tuple[Line, ...]


class Table:
    """All trainings of one space.

    Args:
        source: a file of JSON lines; or the name of a space, whose table ships with the package.
        on: the test sets that count, such as the targets of a training elsewhere; empty: all.

    Raises:
        TableError: no such table, a damaged line, lines of several recipes, or one without a set of ``on``.
    """

    def __init__(self, source: str | Path, on: Sequence[str] = ()) -> None:
        self.path = _find(source)
        self.lines = [_on(line, on, self.path) for line in _read(self.path)]
        if not self.lines:
            raise TableError(f"{self.path} holds no training; python -m nas_reid.tabulate makes them")
        recipes = sorted({line.recipe for line in self.lines})
        if len(recipes) > 1:
            raise TableError(f"{self.path} holds lines of the recipes {', '.join(recipes)}, whose numbers cannot be "
                             "compared; keep one recipe in a file")
        self.recipe = recipes[0]
        self._by_body: dict[str, list[Line]] = {}
        for line in self.lines:
            self._by_body.setdefault(body_key(line.genotype), []).append(line)

    def __len__(self) -> int:
        """Number of genotypes."""
        return len(self._by_body)

    def __contains__(self, genotype: Genotype) -> bool:
        """Whether the genotype was trained."""
        return body_key(genotype.body) in self._by_body

    def query(self, genotype: Genotype | Mapping[str, Any], epoch: int | None = None) -> Entry:
        """What is known of a genotype.

        Args:
            genotype: or its body.
            epoch: of ``validation``, counted from 1; None: the last.

        Raises:
            TableError: the genotype was not trained, or was not validated after that epoch.
        """
        body = genotype.body if isinstance(genotype, Genotype) else genotype
        lines = self._by_body.get(body_key(body))
        if lines is None:
            raise TableError(f"{self.path.name} does not hold this genotype among its {len(self)}; choose one of "
                             "Table(...).genotypes(), or train it: python -m nas_reid.tabulate genotypes=[FILE]")
        return _entry(lines, epoch)

    def genotypes(self) -> list[Mapping[str, Any]]:
        """The bodies, in the order in which they were trained."""
        return [lines[0].genotype for lines in self._by_body.values()]

    def entries(self) -> list[Entry]:
        """``query`` of each of ``genotypes()``."""
        return [_entry(lines, None) for lines in self._by_body.values()]

    def variance_shares(self) -> "Variance":
        """How much of the variance of test mAP lies between genotypes, from those trained with several seeds."""
        return variance_shares([[line.mAP for line in lines] for lines in self._by_body.values() if len(lines) > 1])


@dataclass(frozen=True)
class Variance:
    """Variance components of one-way random effects, in squared mAP: between genotypes, and within (seeds)."""

    between: float
    within: float
    groups: int

    @property
    def share(self) -> float:
        """Of the variance between genotypes in the total, in [0, 1]; the intraclass correlation."""
        return self.between / (self.between + self.within) if self.between + self.within else math.nan


def variance_shares(groups: Sequence[Sequence[float]]) -> Variance:
    """Analysis of variance for unequal groups (Searle et al., Variance Components, 1992, Eq. 3.6.11).

    Args:
        groups: per genotype its values, at least two genotypes, of which one has two values.

    Raises:
        TableError: fewer.
    """
    total, count = sum(map(len, groups)), len(groups)
    if count < 2 or total == count:
        raise TableError(f"variance components need two genotypes and one with two seeds; there are {count} genotypes "
                         f"with {total} trainings: python -m nas_reid.tabulate repeats=3")
    mean = sum(map(sum, groups)) / total
    within = sum((value - fmean(group)) ** 2 for group in groups for value in group) / (total - count)
    spread = sum(len(group) * (fmean(group) - mean) ** 2 for group in groups) / (count - 1)
    size = (total - sum(len(group) ** 2 for group in groups) / total) / (count - 1)
    return Variance(max(0.0, (spread - within) / size), within, count)


def _on(line: Line, names: Sequence[str], path: Path) -> Line:
    """The line with the test sets ``names`` alone; with no names, as it is."""
    if missing := [name for name in names if name not in line.test]:
        raise TableError(f"{path}: {line.origin!r} was not tested on {', '.join(missing)}; it was on: "
                         f"{', '.join(line.test)}")
    return replace(line, test={name: line.test[name] for name in names}) if names else line


def body_key(body: Mapping[str, Any]) -> str:
    """Equal for equal bodies."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"))


def published_tables() -> list[str]:
    """Names of the spaces whose tables ship with the package, sorted."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.jsonl"))


def _find(source: str | Path) -> Path:
    for path in (user_path(source), Path(__file__).parent / f"{source}.jsonl"):
        if path.is_file():
            return path
    raise TableError(f"no table {str(source)!r}: expected a file of JSON lines, or one of: "
                     f"{', '.join(published_tables())}")


def _read(path: Path) -> Iterator[Line]:
    """The lines of a file; a last one that a kill cut short is left out."""
    try:
        text = read_text(path)
        text.encode()  # a damaged byte
    except (OSError, UnicodeError) as error:
        raise TableError(f"cannot read the table {path}: {error}") from None
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        yield Line.from_json(line, origin=f"{path}, line {number}")


def _entry(lines: Sequence[Line], epoch: int | None) -> Entry:
    try:
        validation = fmean(line.validation if epoch is None else line.curve[epoch] for line in lines)
    except KeyError:
        raise TableError(f"epoch {epoch} was not validated; there are: {', '.join(map(str, lines[0].curve))}") from None
    return Entry(fmean(line.mAP for line in lines), validation, tuple(lines))
