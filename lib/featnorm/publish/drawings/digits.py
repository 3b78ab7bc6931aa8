"""Figures of "SimSiam on digits"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featnorm.publish.figure import COLOURS, drawing, glue_figure

if TYPE_CHECKING:  # PyTorch is not needed to draw
    from featnorm.simsiam.image import ImageRun


def digits_norms(run: ImageRun, made_by: str) -> None:
    """``fig-digits``: norms, alignment, asymmetry and commutator, and the spectrum of W along an image run."""
    r = run.records
    with drawing(1, 3, width=9.0, height=3.2) as (fig, (left, middle, right)):
        left.plot(r["step"], r["N_Phi"] / r["N_Phi"][0], color=COLOURS["Phi"], label="N_Φ")
        left.plot(r["step"], r["N_Psi"] / r["N_Psi"][0], color=COLOURS["Psi"], ls="--", label="N_Ψ")
        left.plot(r["step"], r["N_x"], color=COLOURS["N_x"], ls="-.", label="N_×")
        left.set(xlabel="step", title="Norms (of the start) and N_×")
        middle.plot(r["step"], r["asymmetry"], color=COLOURS["W"], label="asymmetry of W")
        middle.plot(r["step"], r["commutator"], color=COLOURS["Phi"], ls="--", label="commutator")
        middle.set(xlabel="step", title="Assumptions 1 and 5", ylim=(0, None))
        right.plot(r["step"], r["eig_W"], color=COLOURS["W"], lw=0.7)
        right.set(xlabel="step", title="Eigenvalues of W")
        left.legend()
        middle.legend()
        glue_figure(
            fig,
            "fig-digits",
            f"Along the run N_Phi ends at {r['N_Phi'][-1] / r['N_Phi'][0]:.2g} of its start, N_x goes from "
            f"{r['N_x'][0]:.2g} to {r['N_x'][-1]:.2g}, the asymmetry of W reaches {r['asymmetry'].max():.2g}, the "
            f"commutator ends at {r['commutator'][-1]:.2g}, the largest eigenvalue of W at {r['eig_W'][-1, 0]:.2g}.",
            made_by,
        )
