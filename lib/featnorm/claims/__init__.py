"""The registry: every statement of the paper and of this book, and the checks that test them.

`REGISTRY` maps an id to its `Claim`; `CHECKS` maps the ids that are checked to their `Check`. One module of checks a
chapter, of the same name; that of the chapter `model` is `model_page`.
"""

from __future__ import annotations

import difflib

from featnorm import scale as _scale
from featnorm._validate import natural
from featnorm.claims import (
    clock,
    commutator,
    cosine_dynamics,
    digits,
    discrete_steps,
    eigenvalues,
    exact_moments,
    gradient_flow,
    gronwall,
    hanson_wright,
    heavy_decay,
    how_many_survive,
    how_robust,
    image_relatives,
    l2_dynamics,
    lemma_4,
    linear_experiment,
    model_page,
    moving_norms,
    order,
    parabola,
    random_matrices,
    regimes,
    relatives,
    resnet,
    subweibull,
    survivors,
    where_concentration_stops,
)
from featnorm.claims.model import NOT_CHECKED, Check, Claim, Evidence, Result, run_check
from featnorm.claims.statements import STATEMENTS
from featnorm.scale import Scale

#: Every claim, by its id.
REGISTRY: dict[str, Claim] = {claim.id: claim for claim in STATEMENTS}
_CHAPTERS = (
    model_page,
    gradient_flow,
    clock,
    subweibull,
    random_matrices,
    hanson_wright,
    gronwall,
    where_concentration_stops,
    exact_moments,
    lemma_4,
    commutator,
    eigenvalues,
    order,
    parabola,
    cosine_dynamics,
    regimes,
    l2_dynamics,
    moving_norms,
    survivors,
    relatives,
    linear_experiment,
    discrete_steps,
    how_many_survive,
    how_robust,
    digits,
    heavy_decay,
    resnet,
    image_relatives,
)
#: The check of every claim that has one, by the id of the claim.
CHECKS: dict[str, Check] = {id: check for chapter in _CHAPTERS for id, check in chapter.CHECKS.items()}

__all__ = ["CHECKS", "NOT_CHECKED", "REGISTRY", "Check", "Claim", "Evidence", "Result", "checked", "get", "run"]


def get(id: str) -> Claim:
    """The claim with this id; raises ValueError that names the nearest id if there is none.

    >>> get("lemma-1").name
    'Lemma 1'
    """
    if id not in REGISTRY:
        near = difflib.get_close_matches(id, REGISTRY, n=1)
        raise ValueError(f"id = {id!r}: no such claim" + (f"; did you mean {near[0]!r}?" if near else ""))
    return REGISTRY[id]


def checked(id: str) -> Check:
    """The check of a claim; raises ValueError if there is no such claim or it has no check.

    >>> sorted(checked("eq-6").wrong)
    ['phi + w^2', 'phi = w', 'phi = w^3', 'rate rho']
    """
    get(id)
    if id not in CHECKS:
        raise ValueError(f"id = {id!r}: this claim is {NOT_CHECKED}; those that are: {', '.join(CHECKS)}")
    return CHECKS[id]


def run(id: str, seed: int, scale: Scale | None = None) -> Result:
    """Run the check of a claim, and its falsifiers, at the given scale (default: the one that is set).

    >>> run("eq-7", seed=0, scale=Scale.SMOKE).outcome
    'holds'
    """
    return run_check(get(id), checked(id), scale or _scale.current(), natural("seed", seed))
