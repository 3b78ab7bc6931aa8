"""The rule of Figure 1 on made-up tables: it can hold, depart and stay undecided."""

import numpy as np
import pytest

from featnorm.claims.heavy_decay import SWAPPED, Figure, contradictions, decisive, reason, verdict

LIGHT = {("cosine", 0.0): 1.0, ("l2", 0.0): 0.5, ("cosine", 0.2): 1.0, ("l2", 0.2): 0.5, ("nostop", 0.2): 0.02}
CONTROLS = {(kind, time): 0.01 for kind in ("l2", "nostop") for time in (3.0, 9.0)}
LIVES, DIES = {("cosine", 3.0): 0.8, ("cosine", 9.0): 0.0}, {("cosine", 3.0): 0.0, ("cosine", 9.0): 0.0}

NONE, ALONE = "there is no such decay time", "it is not shown that both losses survive without decay"


def made_up(spreads: dict[tuple[str, float], float], seeds: int = 3) -> dict[str, np.ndarray]:
    """A table of spreads by kind and decay time."""
    rows = [(kind, time, seed, spread) for (kind, time), spread in spreads.items() for seed in range(seeds)]
    kind, time, seed, spread = map(np.array, zip(*rows))
    x = {"kind": kind, "rho": time / np.where(kind == "l2", 170, 1700), "seed": seed, "spread": spread}
    return x | {"decay_time": time, "diverged": np.zeros(len(time), dtype=bool)}


@pytest.mark.parametrize(
    ("spreads", "wanted", "seen"),
    [
        (LIGHT | CONTROLS | LIVES, "holds", ""),
        (LIGHT | CONTROLS | DIES, "departs", ""),
        (LIGHT | CONTROLS | LIVES | {("l2", 3.0): 0.3}, "departs", ""),  # 9 alone is decisive then
        (LIGHT | CONTROLS | LIVES | {("l2", 3.0): 0.3, ("nostop", 9.0): 0.5}, "undecided", NONE),
        (LIGHT | CONTROLS | LIVES | {("l2", 0.0): 0.0}, "undecided", ALONE),
        ({k: v for k, v in (LIGHT | CONTROLS | LIVES).items() if k != ("l2", 0.0)}, "undecided", ALONE),
        (LIGHT | LIVES, "undecided", NONE),
    ],
)
def test_the_rule_has_three_outcomes(spreads, wanted, seen):
    x = made_up(spreads)
    assert verdict(x) == wanted
    assert bool(reason(x)) == bool(seen) and seen in reason(x)
    assert (contradictions(x, Figure()) == 0) == (wanted == "holds")


def test_every_swapped_statement_is_contradicted_where_the_rule_holds():
    x = made_up(LIGHT | CONTROLS | LIVES)
    assert all(contradictions(x, figure) != 0 for figure in SWAPPED.values())
    assert contradictions(made_up(LIGHT | LIVES), Figure()) == -1  # no decay has all three
    assert decisive(x) == [3.0, 9.0] and decisive(made_up(LIGHT | LIVES)) == []


def test_a_decay_below_the_default_is_not_heavy_whatever_its_time():
    x = made_up(LIGHT | CONTROLS | LIVES)
    assert verdict(x | {"rho": np.full(len(x["rho"]), 1e-4)}) == "undecided"


@pytest.mark.parametrize("kind", ["cosine", "l2", "nostop"])
def test_one_seed_that_differs_or_diverges_leaves_nothing_decided(kind):
    x = made_up(LIGHT | {k: v for k, v in (CONTROLS | LIVES).items() if k[1] != 9.0})
    assert verdict(x) == "holds"
    one = np.flatnonzero((x["kind"] == kind) & (x["decay_time"] == 3.0))[1]
    x["diverged"][one] = True
    assert verdict(x) == "undecided" and contradictions(x, Figure()) == 1
    assert ("the cosine loss survives in 2 of 3 seeds at 3." in reason(x)) == (kind == "cosine")
    x["diverged"][one], x["spread"][one] = False, 0.0 if kind == "cosine" else 0.5
    assert verdict(x) == "undecided" and contradictions(x, Figure()) == 1
