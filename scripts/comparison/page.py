"""A comparison as a section of a page."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, stdev

from comparison.findings import Findings, Trained, worth
from nas_reid.files import write_atomically

_TITLE = """# Evidence: searched against random

Written by `python scripts/evidence.py`, from the raw lines in `evidence/`; mAP in % of drawn people who were neither
trained on nor looked at by any tuning, under one recipe for all. Every search seed is listed.
"""


def write_section(findings: Findings, page: Path, pictures: Sequence[Path], command: str) -> None:
    """Put the section of the space in its place in the page; the other sections stay."""
    space = findings.plan.space
    begin, end = f"<!-- {space} -->\n", f"<!-- end of {space} -->\n"
    text = page.read_text(encoding="utf-8") if page.exists() else _TITLE
    before, found, rest = text.partition(begin)
    after = rest.partition(end)[2] if found else ""
    shown = [f"![{path.stem}]({path.relative_to(page.parent).as_posix()})" for path in pictures]
    section = "\n".join([begin, *section_lines(findings, command), "", *shown, "", end])
    write_atomically(page, f"{before if found else before.rstrip() + chr(10) * 2}{section}{after}".encode())


def section_lines(findings: Findings, command: str) -> Iterator[str]:
    """The section in Markdown, without its pictures."""
    plan, random = findings.plan, findings.random
    mean, gain = fmean(worth(random)), fmean(worth(findings.searched)) / fmean(worth(random)) - 1
    yield from (f"## {plan.space}", "", f"`{command}`", "", *_cost(findings), "",
                "| what | n | mAP, mean ± sd | best | parameters | MACs |", "|---|---|---|---|---|---|",
                _row("searched", findings.searched), _row("by lot", random))
    if findings.equal:
        yield _row(f"by lot, of equal {plan.equal_in} (± {plan.tolerance:.0%})", findings.equal)
    yield f"| the best of {findings.affordable} by lot (by validation), which cost as much as a search | | " \
          f"{_percent(findings.best_affordable)} | | | |"
    yield from (_row(f"`{one.name}`", [one]) for one in findings.hand_made)
    yield from ("", f"Relative to the mean by lot ({_percent(mean)}) the searched are {100 * gain:+.1f} %; permutation "
                f"test, one-sided: p = {findings.p:.4f}.", "", "| search seed | mAP | percentile among random | "
                "parameters |", "|---|---|---|---|")
    yield from (f"| {one.name.removeprefix('seed ')} | {_percent(one.mAP)} | {100 * percentile:.0f} | {one.params:,} |"
                for one, percentile in zip(findings.searched, findings.percentiles, strict=True))
    yield from ("", f"| what ranks {len(findings.scorers[0].pairs)} genotypes | Kendall's τ | 95 % interval "
                "| of the best tenth found |", "|---|---|---|---|")
    yield from (f"| {kind}{each.name} | {each.tau:.2f} | {each.low:.2f} to {each.high:.2f} | {each.overlap:.0%} |"
                for kind, scorers in (("supernet: ", findings.scorers), ("", findings.without_supernet))
                for each in scorers)
    if findings.curve:
        yield from ("", "| found after epochs | " + " | ".join(map(str, findings.curve)) + " |",
                    "|---" * (len(findings.curve) + 1) + "|",
                    "| mAP | " + " | ".join(_mean(worth(group)) for group in findings.curve.values()) + " |")
    if (variance := findings.variance) is not None:
        yield from ("", f"Of the variance in the table {variance.share:.0%} lies between genotypes (standard deviation "
                    f"{100 * variance.between ** 0.5:.2f} points), the rest between seeds "
                    f"({100 * variance.within ** 0.5:.2f} points); {variance.groups} genotypes with several seeds.")
    if findings.variants:
        yield from ("", "Other ways to search, on the table's people, before anything was final: trained alone under "
                    "the recipe, and ranked by people held out of the training.", "",
                    *_variants(findings))
    yield from ("", "| asked | measured | |", "|---|---|---|", *_verdicts(findings))
    if plan.tuning:
        yield from ("", f"Tried before ({len(plan.tuning)}):", "",
                    *(f"- {each}" for each in plan.tuning))


def _cost(findings: Findings) -> Iterator[str]:
    plan, first = findings.plan, findings.searches[0]
    yield (f"A search took {fmean(search['minutes'] for search in findings.searches):.1f} minutes "
           f"({fmean(search['processor_minutes'] for search in findings.searches):.1f} of a processor), a training "
           f"{fmean(one.seconds for one in findings.random):.0f} s of a processor; {first['hardware']}, torch "
           f"{first['versions']['torch']}. Searched with `{' '.join([*plan.search, *plan.final])}`, "
           + (f"chosen with `select {' '.join(plan.select)}`, " if plan.select else "") + "trained with "
           f"`{' '.join([*plan.recipe, *plan.final])}`"
           + (f" from the weights of a supernet of `{' '.join(plan.start)}`" if plan.start else "")
           + (", as the searches are" if plan.pretrained else "")
           + (f"; by lot: `{' '.join(plan.lots)}`" if plan.lots else "") + ".")


def _variants(findings: Findings) -> Iterator[str]:
    """The best first."""
    yield from ("| way to search | overrides | n | validation mAP, mean ± sd | test mAP | parameters | minutes |",
                "|---|---|---|---|---|---|---|")
    for name, found in sorted(findings.variants.items(), key=lambda item: -fmean(item[1].validation)):
        words = " ".join([*found.variant.search, *([f"on {found.variant.on}:"] if found.variant.on else []),
                          *(["select", *found.variant.select] if found.variant.select is not None else [])])
        yield (f"| {name} | {f'`{words}`' if words else ''} | {len(found.validation)} | {_mean(found.validation)} | "
               f"{_mean(found.mAP)} | {fmean(found.params):,.0f} | {found.minutes:.1f} |")
    yield f"| by lot, of the table | | {len(findings.table)} | {_mean(findings.table)} | | | |"


def _verdicts(findings: Findings) -> Iterator[str]:
    plan, best = findings.plan, max(findings.scorers, key=lambda scorer: scorer.tau)
    yield _verdict(f"mean searched at percentile {100 * plan.percentile:.0f} of random",
                   f"{100 * findings.percentile_of_mean:.0f}", findings.percentile_of_mean >= plan.percentile)
    if findings.equal:
        yield _verdict(f"{plan.standard_errors:g} standard errors above random of equal {plan.equal_in}",
                       f"{findings.above_equal:.1f}", findings.above_equal >= plan.standard_errors)
    for name, errors in plan.above.items():
        yield _verdict(f"{errors:g} standard errors above `{name}`", f"{findings.above(name):.1f}",
                       findings.above(name) >= errors)
    yield _verdict(f"τ of the best supernet ≥ {plan.tau:g}, interval above {plan.tau_low:g}",
                   f"{best.tau:.2f}, from {best.low:.2f}", best.tau >= plan.tau and best.low > plan.tau_low)


def _verdict(asked: str, measured: str, reached: bool) -> str:
    return f"| {asked} | {measured} | {'reached' if reached else '**not reached**'} |"


def _row(name: str, group: Sequence[Trained]) -> str:
    return (f"| {name} | {len(group)} | {_mean(worth(group))} | {_percent(max(worth(group)))} | "
            f"{_span([one.params for one in group])} | {_span([one.macs for one in group])} |")


def _span(values: Sequence[int]) -> str:
    return f"{min(values):,}" if len(values) == 1 else f"{min(values):,} to {max(values):,}"


def _mean(values: Sequence[float]) -> str:
    spread = f" ± {100 * stdev(values):.1f}" if len(values) > 1 else ""
    return f"{_percent(fmean(values))}{spread}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"
