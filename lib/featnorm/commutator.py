"""The commutator of F and W: how it moves, the matrix K of Proposition 1, and how far eigenvectors turn.

Eq. 23, Lemma 17 and Proposition 1 of the paper. L = [F, W] = FW - WF, and vec stacks columns, so that
vec(A L B) = (B^T kron A) vec L. The relative size of the commutator is `featnorm.setting.commutator`.
"""

from __future__ import annotations

import numpy as np

from featnorm._validate import Array, square, symmetric
from featnorm.matrix_flow import CLOSURES, Closure, closure_field
from featnorm.setting import Setting, norms


def bracket(A: Array, B: Array) -> Array:
    """[A, B] = AB - BA, shape (h, h).

    >>> bracket(np.diag([1.0, 2.0]), np.ones((2, 2))).tolist()
    [[0.0, -1.0], [1.0, 0.0]]
    """
    return A @ B - B @ A


def kronecker_sum(A: Array, B: Array) -> Array:
    """The paper's A (+) B = A kron B + B kron A, shape (h^2, h^2).

    >>> kronecker_sum(np.diag([1.0, 2.0]), np.eye(2)).diagonal().tolist()
    [2.0, 3.0, 3.0, 4.0]
    """
    return np.kron(A, B) + np.kron(B, A)


def commutator_velocity(
    W: Array, Phi: Array, setting: Setting, closure: Closure = "paper", symmetrised: bool = True
) -> Array:
    """dL/dt by Eq. 23, [dF/dt, W] + [F, dW/dt], along the flow of a closure (or the exact one), shape (h, h).

    ``symmetrised`` takes the symmetric part of dW/dt, as Assumption 1 asks; else dW/dt is that of Eq. 4.

    >>> W, Phi = np.diag([1.0, 2.0]), np.diag([3.0, 4.0])   # commuting states stay commuting
    >>> bool(np.allclose(commutator_velocity(W, Phi, Setting(h=2, d=2)), 0))
    True
    """
    W, Phi = setting.state(W, Phi)
    dW, dPhi = closure_field(W, Phi, setting, closure)
    dW = (dW + dW.T) / 2 if symmetrised else dW
    F, dF = Phi @ Phi.T, dPhi @ Phi.T + Phi @ dPhi.T
    return bracket(dF - 2 * setting.rho * F, W) + bracket(F, dW - setting.rho * W)


def generator_terms(W: Array, Phi: Array, setting: Setting, symmetrised: bool = True) -> Array:
    """What the three terms of Lemma 4 add to K(t) of Proposition 1 in a state with symmetric W, shape (3, h^2, h^2).

    ``symmetrised`` as in `commutator_velocity`; the symmetrised form is the one that Kronecker sums can write.
    Raises ValueError if W is not symmetric, or if Phi or W Phi is zero.

    >>> generator_terms(np.eye(1), np.eye(1), Setting(h=1, d=1, sigma2=1.0)).ravel().tolist()   # a = 2
    [-1.0, 6.0, 1.5]
    """
    W, Phi = setting.state(W, Phi)
    W, F = symmetric("W", W), Phi @ Phi.T
    N, eye, W2 = norms(W, Phi), np.eye(setting.h), W @ W
    FW, WF = F @ W, W @ F
    if symmetrised:
        middle = kronecker_sum(W @ WF @ W, eye) + kronecker_sum(FW, W2)
        middle = 2.0 * middle + kronecker_sum(FW @ F, eye) + kronecker_sum(F, WF)
        third = kronecker_sum(W2, eye) + kronecker_sum(F, eye) / 2
    else:
        middle = 2.0 * (kronecker_sum(W @ WF @ W, eye) + kronecker_sum(FW, W2) + np.kron(FW @ F, eye) + np.kron(F, WF))
        third = kronecker_sum(W2, eye) + np.kron(F, eye)
    scale = N.N_Phi * N.N_Psi
    first = -kronecker_sum(W, eye)
    return np.array([first / scale, middle / (scale * N.N_Psi**2), third * N.N_x / N.N_Psi**2]) / setting.a


def generator(W: Array, Phi: Array, setting: Setting, closure: Closure = "paper", symmetrised: bool = True) -> Array:
    """K(t) of Proposition 1: vec(dL/dt) = -K vec L along the flow of a closure with symmetric W, shape (h^2, h^2).

    Memory grows like h^4: a few megabytes at h = 24. Raises as `generator_terms`, and for the closure ``exact``, which
    has no such matrix.

    >>> generator(np.eye(1), np.eye(1), Setting(h=1, d=1, sigma2=1.0, rho=0.5)).item()
    8.0
    """
    if closure not in CLOSURES:
        raise ValueError(f"closure = {closure!r}: must be one of {', '.join(CLOSURES)}")
    terms = generator_terms(W, Phi, setting, symmetrised)
    return np.tensordot(CLOSURES[closure], terms, axes=1) + 3.0 * setting.rho * np.eye(setting.h**2)


def slowest_rate(K: Array, antisymmetric: bool = False) -> float:
    """The smallest eigenvalue of the symmetric part of K: the commutator shrinks at least so fast.

    The commutator of two symmetric matrices is antisymmetric. ``antisymmetric`` looks at those L only, which asks less;
    nan where there are none (h = 1).

    >>> slowest_rate(np.diag([3.0, 1.0, 1.0, 2.0])), slowest_rate(np.diag([0.5, 1.0, 1.0, 2.0]), antisymmetric=True)
    (1.0, 1.0)
    """
    K = square("K", K)
    if antisymmetric:
        h = round(len(K) ** 0.5)
        i, j = np.triu_indices(h, 1)
        ij, ji = i * h + j, j * h + i
        K = (K[np.ix_(ij, ij)] - K[np.ix_(ij, ji)] - K[np.ix_(ji, ij)] + K[np.ix_(ji, ji)]) / 2
        if not K.size:
            return float("nan")
    return float(np.linalg.eigvalsh((K + K.T) / 2)[0])


def turned(A: Array, start: Array) -> float:
    """How far A is from diagonal in the eigenbasis of ``start``, from 0 (eigenvectors stood still) to 1.

    The norm of what lies off the diagonal, over that of A without its mean eigenvalue; both matrices symmetric, (h, h).
    0 where A is a multiple of the identity.

    >>> turned(np.diag([3.0, 1.0]), np.diag([1.0, 2.0])), round(turned(np.ones((2, 2)), np.diag([1.0, 2.0])), 12)
    (0.0, 1.0)
    """
    A, start = symmetric("A", A), symmetric("start", start)
    U = np.linalg.eigh(start)[1]
    A = A - np.trace(A) / len(A) * np.eye(len(A))
    rotated = U.T @ A @ U
    off = rotated - np.diag(np.diag(rotated))
    size = float(np.linalg.norm(A))
    return float(np.linalg.norm(off)) / size if size > 0 else 0.0
