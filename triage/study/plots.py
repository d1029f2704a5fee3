"""The figures of the report, each with the numbers it is drawn from, as PNG, SVG and JSON.

Names of labels come from strangers: `style` keeps matplotlib from reading them as formulas.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from triage.arrays import Ints
from triage.errors import MissingExtra
from triage.figures import blank, draw_calibration
from triage.learn.dataset import Dataset
from triage.study.analysis import COVERAGES, Findings
from triage.study.data import StudyData
from triage.study.sweeps import SweepLine

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST = 28
# Okabe and Ito: a palette for readers with any colour vision.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d31", "#7f7f7f")
DASHES = ("-", "--", "-.", ":")
MAP_LABELS = 8
BARS = 30


@dataclass(frozen=True)
class Line:
    """One value for each place of a chart, None where nothing was measured; `low` and `high` are its band, if any."""

    title: str
    mean: Sequence[float | None]
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()


@dataclass(frozen=True)
class Chart:
    """Lines over `at`, as the script of the page reads them; `mark` is the place to see first."""

    x: str
    y: str
    at: Sequence[float]
    lines: Sequence[Line]
    log: bool = False
    mark: float | None = None


@dataclass(frozen=True)
class Plot:
    """A figure: the name of its files, a heading, a caption, and the numbers it shows as JSON.

    The page draws `charts` in its place, where there are any, so that people can look closer.
    """

    name: str
    title: str
    caption: str
    figure: Figure
    data: object
    charts: Sequence[Chart] = ()

    def save(self, folder: Path) -> None:
        """Write NAME.png, NAME.svg and NAME.json."""
        with style():
            self.figure.savefig(folder / f"{self.name}.png", dpi=120)
            # The layout is that of the picture just drawn; to find it takes longer than to draw.
            self.figure.set_layout_engine("none")
            self.figure.savefig(folder / f"{self.name}.svg", metadata={"Date": None})
        text = json.dumps(self.data, ensure_ascii=False, indent=1, allow_nan=False)
        (folder / f"{self.name}.json").write_text(text + "\n", "utf-8")


@contextmanager
def style() -> Iterator[None]:
    """The style of all figures, within this context. Raises MissingExtra without matplotlib."""
    try:
        import matplotlib as mpl
    except ModuleNotFoundError:
        raise MissingExtra("plots need matplotlib", "learn") from None
    settings: Any = {
        "text.parse_math": False,
        "svg.hashsalt": "triage",
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with mpl.rc_context(settings), warnings.catch_warnings():
        # Fonts may lack the emoji in a label's name; the tables show them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def short(name: str, most: int = LONGEST) -> str:
    """A name cut to `most` characters."""
    return name if len(name) <= most else name[: most - 1] + "…"


def numbers(values: Any) -> list[Any]:
    """Nested lists, rounded to four digits, with None for values that are not finite."""
    flat = np.round(np.asarray(values, dtype=float), 4).astype(object)
    flat[~np.isfinite(np.asarray(values, dtype=float))] = None
    lists: list[Any] = flat.tolist()
    return lists


def _colours(findings: Findings) -> dict[str, str]:
    """One colour for each method, the same in every figure."""
    return {curve.method: COLOURS[i % len(COLOURS)] for i, curve in enumerate(findings.curves)}


def plots(material: StudyData, findings: Findings, titles: dict[str, str]) -> Iterator[Plot]:
    """All figures, in the order of the report."""
    with style():
        yield curves(findings, titles)
        for sweep in findings.sweeps:
            title = titles[sweep.method]
            data = {"validation": {"threshold": asdict(sweep.threshold), "top_k": asdict(sweep.top_k)}}
            yield Plot(
                f"sweep-{sweep.method}",
                f"Sweeps: {title}",
                f"{title}: F1 on validation by threshold, and by the number of labels set on each issue.",
                _sweep(sweep.threshold, sweep.top_k, title),
                data,
                [_swept("threshold", sweep.threshold), _swept("labels set on each issue", sweep.top_k)],
            )
        yield heatmaps(findings)
        yield coverage(findings, titles)
        yield calibration(findings, titles)
        yield vectors(material, findings)
        yield sizes(material)


def curves(findings: Findings, titles: dict[str, str]) -> Plot:
    """Micro- and macro-F1 by the number of labelled issues; the band is the range over seeds."""
    figure = blank(11, 4.6)
    for axes, measure in zip(figure.subplots(1, 2), ("micro", "macro"), strict=True):
        for i, curve in enumerate(findings.curves):
            points = getattr(curve, measure)
            kind = {"color": _colours(findings)[curve.method], "label": titles[curve.method]}
            if not curve.learns:
                axes.axhline(points[0].mean, linestyle=DASHES[1 + i % 3], **kind)
                continue
            at = [point.size for point in points]
            axes.plot(at, [point.mean for point in points], marker="o", markersize=3.5, **kind)
            low, high = [point.least for point in points], [point.greatest for point in points]
            axes.fill_between(at, low, high, color=kind["color"], alpha=0.15, linewidth=0)
        axes.set(xscale="log", xlabel="labelled issues", ylabel=f"{measure}-F1", ylim=(0, None))
        every = sorted(
            {point.size for curve in findings.curves for point in getattr(curve, measure) if curve.learns}
        )
        axes.set_xticks(every, [str(size) for size in every], rotation=45)
        axes.minorticks_off()
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=8)
    return Plot(
        "learning-curves",
        "Learning curves",
        "Quality by the number of labelled issues: the mean over seeds, in a band from the lowest to the highest. "
        "Micro-F1 uses one threshold, macro-F1 one for each label, both chosen on validation. "
        "Zero-shot methods learn nothing from labels: their lines are horizontal.",
        figure,
        [asdict(curve) | {"title": titles[curve.method]} for curve in findings.curves],
        [_curve_chart(findings, measure, every, titles) for measure in ("micro", "macro") if every],
    )


def _curve_chart(findings: Findings, measure: str, sizes: Sequence[int], titles: dict[str, str]) -> Chart:
    lines = []
    for curve in findings.curves:
        points = getattr(curve, measure)
        found = [next((point for point in points if point.size == size), None) for size in sizes]
        band = [[getattr(point, name, None) for point in found] for name in ("mean", "least", "greatest")]
        values = band if curve.learns else [[points[0].mean] * len(sizes)]
        lines.append(Line(titles[curve.method], *values))
    return Chart("labelled issues", f"{measure}-F1", sizes, lines, log=True)


def _swept(x: str, line: SweepLine) -> Chart:
    lines = [Line("micro-F1", line.micro), Line("macro-F1", line.macro)]
    return Chart(x, "F1 on validation", line.at, lines, mark=line.best()[0])


def _sweep(threshold: SweepLine, top_k: SweepLine, title: str) -> Figure:
    figure = blank(10, 3.6)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, line, marker in ((left, threshold, ""), (right, top_k, "o")):
        axes.plot(line.at, line.micro, marker=marker, markersize=3.5, color=COLOURS[0], label="micro-F1")
        axes.plot(line.at, line.macro, marker=marker, markersize=3.5, color=COLOURS[1], label="macro-F1")
        at, value = line.best()
        axes.axvline(at, color="0.6", linestyle=":")
        axes.annotate(
            f"{at:g}: {value:.3f}", (at, value), xytext=(5, 4), textcoords="offset points", fontsize=9
        )
    left.set(
        xlabel="threshold", ylabel="F1 on validation", xlim=(0, 1), ylim=(0, None), title=short(title, 60)
    )
    right.set(xlabel="labels set on each issue (top k)", title="best labels")
    left.legend(frameon=False)
    return figure


def heatmaps(findings: Findings) -> Plot:
    """Micro- and macro-F1 over k and m."""
    grid, figure = findings.voted.grid, blank(11, 4.6)
    chosen = {"micro": findings.voted.micro_at, "macro": findings.voted.macro_at}
    for axes, measure in zip(figure.subplots(1, 2), ("micro", "macro"), strict=True):
        k, m, floor = chosen[measure]
        values = getattr(grid, measure)[:, :, grid.floors.index(floor)]
        depth = len(values)
        image = axes.imshow(
            values.T,
            origin="lower",
            aspect="auto",
            cmap="viridis",
            extent=(0.5, depth + 0.5, 0.5, depth + 0.5),
        )
        axes.plot(k, m, marker="o", markerfacecolor="none", markeredgecolor="red", markersize=9)
        near = f", similarity at least {floor:g}" if floor > -1 else ""
        axes.set(xlabel="k, neighbours that vote", ylabel="m, votes needed")
        axes.set_title(f"{measure}-F1, best {np.nanmax(values):.3f} at k = {k}, m = {m}{near}", fontsize=10)
        figure.colorbar(image, ax=axes)
    return Plot(
        "neighbours-k-m",
        "Nearest neighbours: k and m",
        "Nearest neighbours: F1 on validation for every k and m, from one search; a ring marks the best pair.",
        figure,
        {
            "floors": grid.floors,
            "micro": numbers(grid.micro),
            "macro": numbers(grid.macro),
            "best": {name: {"k": k, "m": m, "floor": floor} for name, (k, m, floor) in chosen.items()},
            "axes": ["k from 1", "m from 1", "floors"],
        },
    )


def coverage(findings: Findings, titles: dict[str, str]) -> Plot:
    """The precision of the best label on the issues with the highest scores."""
    figure = blank(7.5, 4.4)
    axes = figure.subplots()
    for name, line in findings.coverage.items():
        axes.plot(COVERAGES, line, color=_colours(findings)[name], label=titles[name])
    axes.set(
        xlabel="share of issues, highest scores first", ylabel="precision of the best label", xlim=(0, 1)
    )
    axes.set_ylim(0, 1.005)
    # In the order of the learning curves: the page colours lines by their place.
    every = [curve.method for curve in findings.curves]
    lines = [Line(titles[name], findings.coverage.get(name, [None] * len(COVERAGES))) for name in every]
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return Plot(
        "precision-coverage",
        "Precision and coverage",
        "Precision of each method's best label, on the share of test issues with the highest scores.",
        figure,
        {"coverage": COVERAGES, "precision": findings.coverage},
        [Chart("share of issues, highest scores first", "precision of the best label", COVERAGES, lines)],
    )


def calibration(findings: Findings, titles: dict[str, str]) -> Plot:
    """Scores against the share of labels that were right."""
    figure = blank(5.5, 4.6)
    series = {titles[name]: bins for name, bins in findings.calibration.items()}
    colours = {titles[name]: colour for name, colour in _colours(findings).items()}
    draw_calibration(figure.subplots(), series, colours)
    return Plot(
        "calibration",
        "Calibration",
        "Scores against the share of labels that were right, on test; numbers count pairs of issue and label.",
        figure,
        {name: [asdict(b) for b in bins] for name, bins in findings.calibration.items()},
    )


def vectors(material: StudyData, findings: Findings) -> Plot:
    """A map of the issues, each in the colour of its rarest label among the most common ones."""
    data = material.data
    often = _most_common(data, MAP_LABELS)
    figure = blank(9, 6)
    axes = figure.subplots()
    carried = data.targets[findings.mapped][:, often]
    colour = np.where(carried.any(axis=1), len(often) - 1 - carried[:, ::-1].argmax(axis=1), -1)
    for place in (-1, *range(len(often))):
        x, y = findings.points[colour == place].T
        name = "another label" if place < 0 else short(data.names[often[place]])
        shade = "0.8" if place < 0 else COLOURS[place]
        axes.scatter(
            x,
            y,
            s=max(9, 3000 / len(findings.mapped)),
            color=shade,
            label=name,
            rasterized=True,
            linewidths=0,
        )
    axes.set(xticks=[], yticks=[])
    figure.legend(loc="outside right upper", frameon=False, fontsize=8, markerscale=2)
    return Plot(
        "map",
        "A map of the issues",
        f"The encoder's vectors of {len(findings.mapped)} issues in two dimensions (t-SNE, seed 0), coloured by label.",
        figure,
        {
            "points": numbers(findings.points),
            "issues": [data.issues[i].number for i in findings.mapped.tolist()],
            "labels": data.labels(findings.mapped.tolist()),
        },
    )


def _most_common(data: Dataset, most: int) -> Ints:
    """The columns of the most common labels, in falling order."""
    return np.argsort(-data.targets.sum(axis=0), kind="stable")[:most]


def sizes(material: StudyData) -> Plot:
    """The lengths of texts and the number of issues of each label."""
    about = material.describe()
    lengths = np.array(about.pop("words"), dtype=float)
    common = _most_common(material.data, BARS)
    names = [short(material.data.names[j]) for j in common]
    figure = blank(11, 4.4)
    left, right = figure.subplots(1, 2)
    most = float(np.quantile(lengths, 0.98)) if len(lengths) else 1.0
    left.hist(np.minimum(lengths, most), bins=40, color=COLOURS[0])
    left.axvline(float(np.median(lengths)), color=COLOURS[1], label=f"median {np.median(lengths):.0f}")
    left.set(xlabel="words in an issue (the longest 2% in the last bar)", ylabel="issues")
    left.legend(frameon=False)
    right.barh(names[::-1], material.data.targets.sum(axis=0)[common][::-1], color=COLOURS[2])
    right.tick_params(axis="y", labelsize=7)
    right.set(xlabel="issues with the label")
    edges = np.histogram(np.minimum(lengths, most), bins=40)
    return Plot(
        "data",
        "The data",
        f"Lengths of texts, and the {len(common)} most common labels.",
        figure,
        about | {"length_bins": edges[1].tolist(), "length_counts": edges[0].tolist()},
    )
