"""How each archived run of this book is made: the function, its configuration, and how a part of it is replayed.

`featnorm archive NAME` makes one, `featnorm results verify NAME` replays its first part. The modules named here load
PyTorch only where they train, since the command must start fast.
"""

from __future__ import annotations

from featnorm import surveys
from featnorm.results import Recipe
from featnorm.simsiam import noise_surveys, phase, runs, variations

_FLOWS = {
    f"terminal-state-h{h}": Recipe(
        surveys.terminal_states,
        {"h": h, "starts": 200, "seed": 0},
        part="starts",
        tolerance=1e-5,
        source="integrator tolerance 1e-8 per step, times 1e3 for the steps",
    )
    for h in (12, 24, 48)
} | {
    f"assumption-4-ends-h{h}": Recipe(
        surveys.assumption_4_ends,
        {"h": h, "starts": starts, "trained": trained, "seed": seed},
        part="starts",
        tolerance=1e-4,
        source="integrator tolerance 1e-7 per step, times 1e3 for the steps",
    )
    for h, starts, trained, seed in ((16, 20, 3, 0), (12, 30, 0, 1))
}

_LINEAR = {
    f"linear-{name}": Recipe(
        runs.linear_runs,
        {"h": 64, "d": 512, "sigma2": 1.0, "rho": 0.02, "epochs": 100, "runs": 32, "seed": 0} | config,
        part="runs",
        tolerance=1e-2,
        source="single precision, 6e-8 a step, times 2e3 steps, times 1e2 for the growth of differences",
    )
    for name, config in {
        "batch-512": {"lr": 0.05, "batch": 512, "steps_per_epoch": 20},
        "batch-2048": {"lr": 0.05, "batch": 2048, "steps_per_epoch": 5, "runs": 5},
        "strong-noise": {"sigma2": 16.0, "rho": 0.1, "lr": 0.4, "batch": 64, "steps_per_epoch": 20},
        "long-annealing-d512": {"rho": 0.03, "runs": 24, "lr": 32.0, "batch": 16, "steps_per_epoch": 240},
    }.items()
} | {
    "asymmetry-by-size": Recipe(
        runs.largest_asymmetries,
        {"runs": 24, "seed": 0, "h": 8, "ratios": [2, 4, 8, 16, 32, 64], "batches": [4, 1024], "steps": 400},
        part="runs",
        tolerance=1e-2,
        source="single precision, 6e-8 a step, times 4e2 steps, times 1e2 for the growth of differences",
    )
}

_NOISE = {
    f"noise-{name}": Recipe(
        function,
        {part: number, "seed": 0},
        part=part,
        tolerance=1e-6,
        source="double precision, 2e-16 a step, times 5e4 steps, times 1e5 for the growth of differences",
    )
    for name, function, part, number in (
        ("stationary", noise_surveys.stationary_norms, "seeds", 8),
        ("overlap", noise_surveys.overlaps, "seeds", 8),
        ("annealed", noise_surveys.annealed_runs, "seeds", 8),
        ("comparison", noise_surveys.comparison_map, "seeds", 8),
        ("early", noise_surveys.early_eigenvalues, "blocks", 16),
        ("ends", noise_surveys.trained_ends, "starts", 64),
    )
}

_SURVIVORS = {
    f"phase-{name}": Recipe(
        phase.survey,
        phase.GRID | config,
        part="points",
        tolerance=1e-5,
        source="float32 of the archive, times a hundred; each point is one batch, computed alike in part and whole",
    )
    for name, config in phase.SURVEYS.items()
}

_ROBUST = {
    name: Recipe(
        function,
        {part: many, "starts": starts, "seed": 0},
        part=part,
        tolerance=1e-2,
        source="rounding in single precision, 6e-8 a step, fed by 2000 steps of training",
    )
    for name, function, part, many, starts in (
        ("robust-variations", variations.variation_survey, "variations", 22, 12),
        ("robust-normalisations", variations.normalisation_sweep, "decays", 9, 6),
        ("robust-sizes", variations.size_survey, "sizes", 7, 8),
    )
}

#: Archived runs by name.
ARCHIVES: dict[str, Recipe] = _FLOWS | _LINEAR | _NOISE | _SURVIVORS | _ROBUST
