"""Figures of the chapter `image_relatives`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from featnorm.claims.image_relatives import NARROW, PREDICTED, Row
from featnorm.publish.figure import COLOURS, drawing, glue_figure


def relatives(
    rates: Sequence[Row], table: Sequence[Row], names: dict[tuple[str, str], str], pixels: float, made_by: str
) -> None:
    """``fig-image-relatives``: spread and kNN accuracy of each method at its best rate, and its spread at all rates.

    ``rates``, ``table``: `featnorm.claims.image_relatives.rows`; ``names`` of the methods; ``pixels``: their accuracy.
    """
    y = {kind: len(names) - 1 - i for i, kind in enumerate(names)}
    untrained = float(np.mean([run.untrained for run in table]))
    with drawing(1, 2, width=8.0, height=4.6, sharey=True) as (fig, (left, right)):
        for collapses, label, colour, marker in (
            (True, "predicted to collapse", COLOURS["l2"], "v"),
            (False, "predicted to stay", COLOURS["cosine"], "o"),
        ):
            shown = [run for run in table if ((run.method, run.loss) in PREDICTED) == collapses]
            tried = [run for run in rates if ((run.method, run.loss) in PREDICTED) == collapses and not run.failed]
            left.plot(
                [run.spread for run in tried], [y[run.method, run.loss] - 0.25 for run in tried],
                ls="", marker=marker, ms=4, mfc="none", color=colour,
            )  # fmt: skip
            at = np.array([y[run.method, run.loss] for run in shown])
            left.plot([run.spread for run in shown], at, ls="", marker=marker, ms=6, color=colour, label=label)
            knn, low, high = (np.array([getattr(run, part) for run in shown]) for part in ("knn", "low", "high"))
            shift = 0.2 * (np.array([run.seed for run in shown]) - 2)
            right.errorbar(knn, at - shift, xerr=[knn - low, high - knn], fmt=marker, ms=4, lw=1.0, color=colour)
        left.axvline(NARROW, color=COLOURS["neutral"], ls="-.", lw=1, label="bar of narrow")
        left.set(xscale="log", title="Spread, as a share of the untrained")
        left.set_yticks(list(y.values()), list(names.values()))
        right.axvline(untrained, color=COLOURS["leading"], ls="--", lw=1, label="untrained net")
        right.axvline(pixels, color=COLOURS["paper"], ls=":", lw=1.5, label="pixels")
        right.set(title="kNN accuracy")
        handles, labels = ([*a, *b] for a, b in zip(*(axis.get_legend_handles_labels() for axis in (left, right))))
        fig.legend(handles, labels, loc="outside lower center", ncols=5)
        words = []
        for kind, name in names.items():
            spreads = [run.spread for run in table if (run.method, run.loss) == kind]
            words.append(f"{name} {min(spreads):.2g} to {max(spreads):.2g}")
        accuracies = [run.knn for run in table]
        alt = (
            f"Spread as a share of the untrained net's, range over seeds: {'; '.join(words)}. The untrained net has a "
            f"kNN accuracy of {untrained:.3f}, pixels {pixels:.3f}, the methods from {min(accuracies):.3f} to "
            f"{max(accuracies):.3f}."
        )
        glue_figure(fig, "fig-image-relatives", alt, made_by)
