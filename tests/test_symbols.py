"""The table of symbols: what defines each exists, each is found in its own formula, and some letters are local."""

from pathlib import Path

import pytest

from featnorm.claims import REGISTRY
from featnorm.publish.figure import COLOURS
from featnorm.publish.symbols import SYMBOLS, used_in

BOOK = Path(__file__).parents[1] / "book"


@pytest.mark.parametrize("symbol", SYMBOLS, ids=lambda s: s.id)
def test_a_symbol_is_defined_coloured_and_found(symbol):
    assert REGISTRY[symbol.claim].chapter and set(symbol.colours) <= set(COLOURS)
    assert all((BOOK / f"{chapter}.md").is_file() for chapter in symbol.chapters)
    assert symbol in used_in([symbol.tex], symbol.chapters[0] if symbol.chapters else "model")


def test_ids_are_unique():
    assert len({symbol.id for symbol in SYMBOLS}) == len(SYMBOLS)


@pytest.mark.parametrize(
    ("formula", "chapter", "found"),
    [
        (r"\rho_c(\tau)", "regimes", ["rho-c", "tau"]),
        (r"\rho_c(\tau)", "model", ["rho-c"]),
        (r"\rho\,x", "subweibull", []),
        (r"\theta=(W,\Phi),\kappa", "how_many_survive", ["Phi", "W"]),  # all weights, and a fitted share
        (r"\norm{x}_F", "model", ["x"]),  # the Frobenius norm is not the Gram matrix
        (r"\hat H", "model", ["H"]),
        (r"\hat h_j", "model", []),  # neither the dimension h nor the driving term
        (r"N_\Phi", "model", ["N-Phi"]),
        (r"\operatorname{what}", "model", []),
        (r"\diag(w)", "model", []),
    ],
)
def test_what_a_formula_uses(formula, chapter, found):
    assert [symbol.id for symbol in used_in([formula], chapter)] == found
