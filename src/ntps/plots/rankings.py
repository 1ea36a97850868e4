"""What models reach on new texts: those of a ranking, and one by the number of texts."""

from __future__ import annotations

from matplotlib.figure import Figure

from ntps.advice.record import AdviceFile
from ntps.plots.hover import say_at
from ntps.plots.layers import LABELS
from ntps.plots.style import OKABE_ITO, QUIET, WIDTH, legend_below, quiet_axes
from ntps.study.ranking.record import Ranking


def draw_ranking(ranking: Ranking) -> Figure:
    """What each model reaches on new texts with its interval on the left, how far it is behind the first on the right.

    Args:
        ranking: The ranking.
    """
    models = ranking.models
    several = len(models) > 1
    panels = {"value": LABELS[ranking.criterion], **({"behind": "behind the first (points)"} if several else {})}
    height = 1.2 + 0.3 * len(models)
    figure = Figure(figsize=(WIDTH * len(panels), height), layout="constrained")
    for axes, (name, label) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        quiet_axes(axes)
        for y, row in enumerate(models):
            value, ends = getattr(row, name), getattr(row, f"{name}_interval")
            if value is None:
                continue
            axes.plot(100 * value, y, "o", color=OKABE_ITO[0], label="texts left out")
            said = f"{row.place}. {row.model}, {row.layer}: {100 * value:.1f}"
            if ends is not None and None not in ends:
                low, high = (100 * float(end) for end in ends)
                axes.hlines(y, low, high, color=OKABE_ITO[0], linewidth=1.2)
                said += f" ({low:.1f} to {high:.1f})"
            say_at(axes, [100 * value], [y], [said])
        if name == "value" and ranking.baseline is not None:
            named = "the most frequent class" if ranking.criterion == "accuracy" else "without looking at the texts"
            axes.axvline(100 * ranking.baseline, color=QUIET, linestyle=":", linewidth=1.2, label=named)
        if name == "behind":
            axes.axvline(0, color=QUIET, linewidth=0.8, label="_first")
        axes.set_yticks(range(len(models)), [f"{row.place}  {row.model}" for row in models])
        axes.set_ylim(len(models) - 0.5, -0.5)
        axes.set_xlabel(label)
    handles = {str(line.get_label()): line for axes in figure.axes for line in axes.get_lines()}
    legend_below(figure, [line for label, line in handles.items() if not label.startswith("_")], 2 * len(panels))
    return figure


def draw_learning_curve(result: AdviceFile) -> Figure:
    """Accuracy with its interval by the number of texts, and the forecast of LoRA from all of them.

    Args:
        result: The advice.
    """
    figure = Figure(figsize=(WIDTH, 2.6), layout="constrained")
    axes = figure.subplots()
    quiet_axes(axes)
    points = [(point.texts, point.accuracy, point.accuracy_interval) for point in result.learning_curve]
    marked = [(points[:-1], "best probe", "o", OKABE_ITO[0]), (points[-1:], "best probe, expected", "D", OKABE_ITO[0])]
    if result.lora is not None:
        forecast = (result.task.texts, result.lora.accuracy, result.lora.accuracy_interval)
        marked.append(([forecast], "LoRA, forecast", "s", OKABE_ITO[1]))
    for rows, label, marker, color in marked:
        for texts, accuracy, ends in rows:
            if accuracy is None:
                continue
            # Beside the probe of as many texts, not on it.
            x = texts * 1.06 if marker == "s" else float(texts)
            axes.plot(x, 100 * accuracy, marker, color=color, label=label, linestyle="none")
            said = f"{label}, {texts:,} texts: {100 * accuracy:.1f} %"
            if ends is not None and None not in ends:
                low, high = (100 * float(end or 0.0) for end in ends)
                axes.vlines(x, low, high, color=color, linewidth=1.2)
                said += f" ({low:.1f} to {high:.1f})"
            say_at(axes, [x], [100 * accuracy], [said])
    majority = 100 * result.summary.majority_accuracy
    axes.axhline(majority, color=QUIET, linestyle=":", linewidth=1.2, label="the most frequent class")
    axes.set_xscale("log", base=2)
    axes.set_xticks([texts for texts, *_ in points], [f"{texts:,}" for texts, *_ in points])
    axes.minorticks_off()
    axes.set_xlabel("texts")
    axes.set_ylabel("accuracy (%)")
    handles = {str(line.get_label()): line for line in axes.get_lines()}
    legend_below(figure, list(handles.values()), 2)
    return figure
