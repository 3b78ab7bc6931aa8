"""SimSiam and its relatives on batches of features, behind one function: which normalisation keeps them alive?

The names of `METHODS` say what is trained; ``loss`` is ``cosine`` (Eq. 2) or ``l2`` (Eq. 1) where a method predicts.
The cosine divides by the plain norm, as in `featnorm.simsiam.linear`: the official code raises small norms, which
would end the scale invariance that is the subject here.
"""

from __future__ import annotations

import torch
from torch import Tensor

from featnorm._validate import one_of
from featnorm.relatives import Vicreg
from featnorm.simsiam.relatives import _barlow_loss, _dot, _vicreg_loss

METHODS = ("simsiam", "no-stop", "no-predictor", "byol", "directpred", "barlow", "vicreg")
LOSSES = ("cosine", "l2")
_method, _loss = one_of(*METHODS), one_of(*LOSSES)


def distance(u: Tensor, v: Tensor, loss: str = "cosine") -> Tensor:
    """Eq. 2 (minus the mean cosine) or Eq. 1 (half the mean squared distance) of rows (n, h), without stop-gradient.

    A row that is exactly zero makes the cosine nan. Raises ValueError for another ``loss``.

    >>> distance(torch.tensor([[3.0, 4.0]]), torch.tensor([[6.0, 8.0]])).item()
    -1.0
    """
    if _loss("loss", loss) == "cosine":
        return -(_dot(u, v) / (u.norm(dim=-1) * v.norm(dim=-1))).mean()
    return 0.5 * (u - v).square().sum(dim=-1).mean()


def method_loss(method: str, loss: str, W: Tensor, q: Tensor, q1: Tensor, v: Tensor, v1: Tensor) -> Tensor:
    """The symmetrised loss of a method on features of two views, a scalar.

    q and q1 (n, h) are the online features, v and v1 those of the target (the same, or the momentum encoder's for
    ``byol``), W (h, h) the predictor. ``directpred`` expects its predictor in W and passes no gradient to it.
    ``barlow`` weighs the off-diagonal by 0.005, as its authors do. Raises ValueError for another method or loss.

    >>> q = torch.eye(2)
    >>> method_loss("simsiam", "cosine", torch.eye(2), q, q, q, q).item()
    -1.0
    """
    _method("method", method)
    if method == "barlow":
        return _barlow_loss(q, q1, 0.005, True)
    if method == "vicreg":
        return _vicreg_loss(q, q1, Vicreg())
    if method != "no-stop":
        v, v1 = v.detach(), v1.detach()
    if method == "directpred":
        W = W.detach()
    if method == "no-predictor":
        return 0.5 * (distance(q, v1, loss) + distance(q1, v, loss))
    return 0.5 * (distance(q @ W.T, v1, loss) + distance(q1 @ W.T, v, loss))


def direct_predictor(C: Tensor, epsilon: float = 0.1) -> Tensor:
    """DirectPred (Tian, Chen and Ganguli 2021): sqrt(s / max s) + epsilon on the eigenvectors of the moments C (h, h).

    >>> direct_predictor(torch.diag(torch.tensor([4.0, 1.0])), 0.0)
    tensor([[1.0000, 0.0000],
            [0.0000, 0.5000]])
    """
    s, U = torch.linalg.eigh(C)
    s = s.clamp_min(0.0)
    return (U * ((s / s.max()).sqrt() + epsilon)) @ U.T
