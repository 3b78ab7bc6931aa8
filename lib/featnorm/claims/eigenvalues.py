"""Checks of the chapter "From matrices to eigenvalues": Eq. 5."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featnorm.claims.model import Check, Evidence
from featnorm.eigen_flow import mode_norms, rate_terms
from featnorm.matrix_flow import closed_velocity
from featnorm.scale import Scale
from featnorm.setting import Setting

EPS = float(np.finfo(float).eps)


@dataclass(frozen=True)
class Eq5:
    """dw = h/w - decay_w rho w, dphi = factor h - decay_phi rho phi, with h from three weighted terms."""

    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    factor: float = 2.0
    decay_w: float = 1.0
    decay_phi: float = 2.0


def check_eq_5(variant: Eq5, scale: Scale, seed: int) -> Evidence:
    """The eigenvalue equations against Eq. 4 with Lemma 4's matrix, in random commuting states of random eigenvectors.

    Off-diagonal entries count too: if the eigenvectors moved, the eigenvalue equations would not be the whole story.
    """
    rng = np.random.default_rng(seed)
    h, d = 6, 9
    setting = Setting(h=h, d=d, sigma2=0.6, rho=0.3)
    cases, worst = scale.pick(10, 100, 1000), 0.0
    for _ in range(cases):
        U = np.linalg.qr(rng.standard_normal((h, h)))[0]
        V = np.linalg.qr(rng.standard_normal((d, h)))[0]
        w, phi = rng.choice([-1, 1], h) * rng.uniform(0.3, 1.5, h), rng.uniform(0.1, 2.0, h)
        dW, dF = closed_velocity(U * w @ U.T, U * np.sqrt(phi) @ V.T, setting)
        hat = w * (np.array(variant.weights) @ rate_terms(w, phi, mode_norms(w, phi), setting))
        dw = hat / w - variant.decay_w * setting.rho * w
        dphi = variant.factor * hat - variant.decay_phi * setting.rho * phi
        for matrix, rates in ((dW, dw), (dF, dphi)):
            worst = max(worst, float(np.max(np.abs(U.T @ matrix @ U - np.diag(rates)))))
    bound = 100 * h**2 * EPS / 0.3  # 1/0.3 bounds the norm of the inverse of W, which Eq. 4 divides by
    return Evidence(worst, bound, "rounding: 100 h^2 times 2.2e-16 over min |w|", "numerical", cases, seed)


CHECKS: dict[str, Check] = {
    "eq-5": Check(
        check_eq_5,
        claimed=Eq5(),
        wrong={
            "first term deleted": Eq5(weights=(0, 1, 1)),
            "middle term deleted": Eq5(weights=(1, 0, 1)),
            "middle term with factor 1": Eq5(weights=(1, 0.5, 1)),
            "third term deleted": Eq5(weights=(1, 1, 0)),
            "third term with the wrong sign": Eq5(weights=(1, 1, -1)),
            "phi moves at half the rate": Eq5(factor=1.0),
            "phi decays like w": Eq5(decay_phi=1.0),
            "w does not decay": Eq5(decay_w=0.0),
        },
    ),
}
