r"""The symbols of the book: what each means, its colour in the figures, and the claim that defines it.

The page ``symbols`` is the table of these, and each chapter lists those that occur in its formulas, linked
to that table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Symbol:
    """One symbol: ``tex`` as it is shown, a ``meaning``, the ``claim`` that defines it, its ``colours`` in the figures.

    ``pattern`` finds it in the TeX of a formula. ``chapters`` are the only ones in which the letter has this meaning;
    empty for a symbol of the whole book but for `OWN_LETTERS`.
    """

    id: str
    tex: str
    meaning: str
    claim: str
    pattern: str
    colours: tuple[str, ...] = ()
    chapters: tuple[str, ...] = ()


def _letter(name: str) -> str:
    """The pattern of a letter or a command that stands alone: not in a word, not under a hat or a bar, not in N_Phi."""
    return rf"(?<![A-Za-z\\])(?<!\\hat )(?<!\\bar )(?<!N_){re.escape(name)}(?![A-Za-z])"


#: Chapters whose letters mean something else.
OWN_LETTERS = ("subweibull",)
_NOISE = ("discrete_steps", "how_many_survive", "linear_experiment")
_ROOTS = ("cosine_dynamics", "explore", "order", "regimes", "moving_norms", "discrete_steps")
SYMBOLS = (
    Symbol("h-d", "h,\\;d", "dimensions of representation and input", "assumption-3", _letter("h")),
    Symbol("x", "x_0,\\;x,\\;x'", "anchor, and two noisy views of it", "assumption-2", _letter("x")),
    Symbol("sigma2", r"\sigma^2", "variance of the noise of a view", "assumption-2", r"\\sigma\^2"),
    Symbol("a", r"a=1+\sigma^2", "variance of a view", "beyond-saddle-node", _letter("a")),
    Symbol("rho", r"\rho", "weight decay", "eq-2", r"\\rho(?!_)"),
    Symbol("rho-c", r"\rho_c", "critical weight decay", "beyond-saddle-node", r"\\rho_c"),
    Symbol("Phi", r"\Phi", "representation net", "assumption-4", _letter(r"\Phi"), ("Phi",)),
    Symbol("W", "W", "projection head", "assumption-4", _letter("W"), ("W",)),
    Symbol("Psi", r"\Psi=W\Phi", "both layers", "lemma-2", _letter(r"\Psi"), ("Psi",)),
    Symbol("SG", r"\operatorname{SG}", "stop-gradient: held fixed in the gradient", "eq-1", r"\{SG\}"),
    Symbol("omega", r"\omega,\;z'", "online and target feature over their lengths", "lemma-1", r"\\omega"),
    Symbol("F", r"F=\Phi\Phi^\top", "Gram matrix of the representation", "lemma-1", r"(?<!_)" + _letter("F")),
    Symbol("commutator", "[F,W]", "commutator, $FW-WF$", "assumption-5", r"\[F(?:\(.\))?,\s*W"),
    Symbol("H", r"H,\;\hat H", "driving term, and its closure", "lemma-4", rf"{_letter('H')}|\\hat H"),
    Symbol(
        "N-Phi",
        r"N_\Phi,\;N_\Psi",
        r"norms $\norm{\Phi}_F$, $\norm{\Psi}_F$",
        "lemma-4",
        r"N_\\(?:Phi|Psi)",
        ("Phi", "Psi"),
    ),
    Symbol("N-x", r"N_\times", "overlap of the two branches", "lemma-4", r"N_\\times", ("N_x",)),
    Symbol("modes", r"w_j,\;\varphi_j", "eigenvalues of $W$ and $F$", "eq-5", r"w_[jk]|\\varphi_[jk]", ("W", "Phi")),
    Symbol("c", "c_j", "offset from the parabola, at the start", "eq-6", r"c_j"),
    Symbol("w-bar", r"\bar w", "common eigenvalue of the survivors", "beyond-terminal-state", r"\\bar w"),
    Symbol(
        "roots",
        r"w_\blacktriangledown^{(\pm)},\;w_\blacktriangle^{(+)}",
        "equilibria of (7): unstable (down), stable (up)",
        "regime-acute",
        r"\\blacktriangle",
    ),
    Symbol("clock", "s(t)", "the clock", "beyond-clock", r"(?<![A-Za-z\\])s\(t\)"),
    Symbol(
        "tau",
        r"\tau,\;\kappa",
        r"$N_\times N_\Phi N_\Psi$ and $1/(aN_\Phi N_\Psi)$",
        "beyond-saddle-node",
        r"\\tau|\\kappa(?! ?h)",
        chapters=(*_ROOTS, "relatives", "survivors"),
    ),
    Symbol(
        "theta",
        r"\theta,\;r",
        "the two numbers that decide the regime",
        "beyond-two-numbers",
        r"\\theta",
        chapters=_ROOTS,
    ),
    Symbol("r-F", r"r_F,\;r_\Psi", "effective ranks", "beyond-effective-rank", r"(?<![A-Za-z\\])r_(?:F|\\Psi)"),
    Symbol("eta", r"\eta,\;\mu", "step size and momentum of SGD", "beyond-pythagoras", r"\\eta|\\mu", chapters=_NOISE),
    Symbol("B", "B", "pairs of views in a batch", "beyond-noise-variable", _letter("B"), chapters=_NOISE),
    Symbol("X", "X", "noise variable of SGD", "beyond-noise-variable", _letter("X"), chapters=("how_many_survive",)),
    Symbol(
        "gamma",
        r"\gamma_W,\;\gamma_\Phi",
        "noise of the batch gradient, scale-free",
        "beyond-noise-equilibrium",
        r"\\gamma_(?:W|\\Phi)",
    ),
    Symbol(
        "psi-norm",
        r"\norm{X}_{\psi_\beta}",
        "sub-Weibull norm",
        "definition-1",
        r"\\psi_(?:\\beta|\{)",
        chapters=("random_matrices", "subweibull"),
    ),
)


def used_in(formulas: Iterable[str], chapter: str) -> list[Symbol]:
    r"""The symbols that occur in the formulas (TeX) of a chapter, in the order of the table.

    >>> [symbol.id for symbol in used_in([r"\dot w_j=-\rho\,w_j", r"N_\Phi"], "regimes")]
    ['rho', 'N-Phi', 'modes']
    >>> [symbol.id for symbol in used_in(["X"], "subweibull")]
    []
    """
    text = "\n".join(formulas)
    meant = [s for s in SYMBOLS if (chapter in s.chapters if s.chapters else chapter not in OWN_LETTERS)]
    return [symbol for symbol in meant if re.search(symbol.pattern, text)]
