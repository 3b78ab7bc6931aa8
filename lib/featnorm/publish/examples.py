"""Examples of functions and classes whose own docstrings must not change, for the pages about the library.

An archived run keeps a hash of the modules that made it, docstrings included, so an example added there would mark it
as stale. Examples of those modules stand here until the runs are made again. They run as they would in the docstring,
with NumPy as ``np``; a survey that takes minutes is shown by what it left in the archive.
"""

from __future__ import annotations

EXAMPLES: dict[str, str] = {
    "featnorm.setting.l2_loss": """
>>> l2_loss(np.eye(2), np.eye(2), np.array([[1.0, 0.0]]), np.array([[3.0, 0.0]]))
2.0
""",
    "featnorm.setting.Norms": """
>>> Norms(N_Phi=1.0, N_Psi=2.0, N_x=0.5).N_x
0.5
>>> Norms(N_Phi=0.0, N_Psi=2.0, N_x=0.5)
Traceback (most recent call last):
...
ValueError: N_Phi = 0.0: must be a finite number > 0
""",
    "featnorm.matrix_flow.l2_field": """
>>> dW, dPhi = l2_field(np.eye(2), np.eye(2), np.array([[1.0, 0.0]]), np.array([[3.0, 0.0]]))
>>> dW.tolist()   # W Phi x should grow from 1 to 3
[[2.0, 0.0], [0.0, 0.0]]
""",
    "featnorm.matrix_flow.Drift": """
>>> x = np.random.default_rng(0).standard_normal((50, 3))
>>> run = gradient_flow(np.eye(2), np.eye(2, 3), x, x + 0.1, rho=0.5, times=[0.0, 1.0])
>>> run.drift().balance < 1e-8
True
""",
    "featnorm.matrix_flow.MatrixTrajectory": """
>>> x = np.random.default_rng(0).standard_normal((50, 3))
>>> run = gradient_flow(np.eye(2), np.eye(2, 3), x, x + 0.1, rho=0.5, times=[0.0, 1.0])
>>> run.W.shape, run.Phi.shape, run.rho
((2, 2, 2), (2, 2, 3), 0.5)
""",
    "featnorm.matrix_flow.Estimate": """
>>> setting = Setting(h=2, d=4)
>>> dW, _ = estimate_gradient(np.eye(2), np.eye(2, 4), setting, 6400, np.random.default_rng(0))
>>> dW.mean.shape, dW.stderr.shape, dW.n
((2, 2), (2, 2), 6400)
""",
    "featnorm.matrix_flow.estimate_gradient": """
>>> from featnorm.normalized_moments import cosine_field_expected
>>> W, Phi, setting = np.array([[1.0, 0.5], [0.5, -1.0]]), np.eye(2, 4), Setting(h=2, d=4)
>>> dW, dPhi = estimate_gradient(W, Phi, setting, 64000, np.random.default_rng(1))
>>> exact, _ = cosine_field_expected(W, Phi, setting)
>>> bool((abs(dW.mean - exact) < 5 * dW.stderr).all())
True
""",
    "featnorm.matrix_flow.closed_velocity": """
>>> dW, dF = closed_velocity(np.eye(2), np.eye(2), Setting(h=2, d=2, rho=0.5), closure="leading")
>>> dW.shape, bool((dF == dF.T).all())
((2, 2), True)
""",
    "featnorm.eigen_flow.FlowEnded": """
>>> try:
...     raise FlowEnded(2.0, "a norm vanishes")
... except FlowEnded as ended:
...     print(ended, ended.t)
Eq. 5 could not be integrated beyond t = 2: a norm vanishes 2.0
""",
    "featnorm.eigen_flow.EigenTrajectory": """
>>> run = integrate([1.0, 0.5], [1.0, 2.0], Setting(h=2, d=2), 5.0, "exact")
>>> w, phi = run.at(2.5)
>>> w.shape, run.extinct_at is None
((2,), True)
""",
    "featnorm.eigen_flow.TerminalState": """
>>> end = terminal_state([1.0, 1.0], [1.0, 1.0])
>>> np.round(end.phi, 6).tolist(), bool(np.allclose(end.w, end.w_bar))
([1.0, 1.0], True)
""",
    "featnorm.eigen_flow.TerminalMatrix": """
>>> end = terminal_state_matrix(np.eye(2), np.eye(2))
>>> end.F.shape, round(float(end.phi.sum()), 6)
((2, 2), 2.0)
""",
    "featnorm.normalized_moments.DiagonalMoments": """
>>> found = diagonal_moments([2.0, 2.0], [3.0, 3.0], 1.0)
>>> found.k.shape, found.H.shape, found.error < 1e-10
((2,), (2,), True)
""",
    "featnorm.normalized_moments.MatrixMoments": """
>>> W = np.array([[1.0, 0.5], [0.0, 2.0]])
>>> found = matrix_moments(W, np.eye(2), 1.0)
>>> bool(np.allclose(found.H, found.K @ W.T))
True
""",
    "featnorm.equilibria.Branch": """
>>> branch = continued_branch(Norms(1, 1, 0), Setting(h=1, d=1))
>>> branch.w.shape == branch.parameter.shape, branch.folds.shape[1]
(True, 2)
""",
    "featnorm.equilibria.Classified": """
>>> found = classify_scaled(np.array([0.0]), np.array([0.1]))
>>> [REGIMES[code] for code in found.regime], found.count.tolist(), found.w.shape
(['Acute'], [4], (1, 4))
""",
    "featnorm.equilibria.Enclosed": """
>>> field = rational_field(Norms(1, 1, 0), Setting(h=1, d=1, rho=1.0))
>>> [(e.low, e.high, e.stability) for e in certified_equilibria(field) if e.low == e.high]
[(0.0, 0.0, 'stable')]
""",
    "featnorm.equilibria.Equilibrium": """
>>> stable = [e for e in equilibria(Norms(1, 1, 0), Setting(h=1, d=1, rho=0.02)) if e.stability == "stable"]
>>> [(e.name, e.multiplicity) for e in stable]
[('zero', 1), ('w_up', 1)]
""",
    "featnorm.equilibria.FoldPoint": """
>>> point = fold_point(Norms(1, 1, 0), Setting(h=1, d=1))
>>> abs(point.residual) < 1e-12, point.curvature < 0, point.speed < 0
(True, True, True)
""",
    "featnorm.equilibria.Intervals": """
>>> found = intervals([Norms(1, 1, 0)], Setting(h=1, d=1, rho=0.02))
>>> bool(found.low[0] < 0 < found.middle[0] < found.high[0])
True
""",
    "featnorm.equilibria.Starts": """
>>> found = starts(Setting(h=8, d=16, rho=0.01), 3, np.random.default_rng(0))
>>> found.eigenvalues.shape, found.lowest_root.shape, found.below.shape
((3, 8), (3,), (3,))
""",
    "featnorm.equilibria.Turn": """
>>> turn = bath_fold(Norms(1, 1, 0), Setting(h=1, d=1))
>>> bath_fold(Norms(1, 1, 0), Setting(h=1, d=1), moments="frozen").rho > turn.rho > 0
True
""",
    "featnorm.relatives.ModeTrajectory": """
>>> run = follow_modes(Relative("isoloss", "l2"), np.array([0.1]), Setting(h=1, d=1), [0.0, 1.0, 2.0])
>>> run.t.shape, run.w.shape, bool((run.r == run.p).all())
((3,), (3, 1), True)
""",
    "featnorm.relatives.Vicreg": """
>>> Vicreg(variance=10.0)
Vicreg(invariance=25.0, variance=10.0, covariance=1.0, epsilon=0.0001)
""",
    "featnorm.simsiam.linear.save": """
>>> import tempfile
>>> from pathlib import Path
>>> with tempfile.TemporaryDirectory() as folder:
...     run = train(LinearConfig(h=2, d=4, epochs=1, steps_per_epoch=2, batch=8))
...     save(run, Path(folder, "run.npz"))
...     again = load(Path(folder, "run.npz"))
>>> again.config == run.config, bool((again.N_Phi == run.N_Phi).all())
(True, True)
""",
    "featnorm.simsiam.image.ImageRun": """
>>> ImageRun(ImageConfig(), {"loss": np.zeros(3)}, steps=50).failed
''
""",
    "featnorm.simsiam.image.Model": """
>>> config = ImageConfig(encoder="convnet", width=2, h=8)
>>> one, two = Model(config, channels=1), Model(config, channels=1)
>>> all(bool((a == b).all()) for a, b in zip(one.parameters(), two.parameters()))   # the same seed
True
""",
    "featnorm.simsiam.image.write_checkpoint": """
>>> import tempfile
>>> from pathlib import Path
>>> with tempfile.TemporaryDirectory() as folder:
...     place = Path(folder, "checkpoint")
...     write_checkpoint(place, {"a": np.zeros(3)}, {"identity": {"seed": 0}})
...     read_checkpoint(place, {"seed": 0})[0]["a"].tolist()
[0.0, 0.0, 0.0]
""",
    "featnorm.simsiam.image.read_checkpoint": """
>>> from pathlib import Path
>>> read_checkpoint(Path("no such folder"), {"seed": 0}) is None
True
""",
    "featnorm.simsiam.image.train": """
>>> images = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 1), dtype=np.uint8)
>>> labels = np.arange(64) % 2
>>> images = ImageData(images, labels, images, labels, ("even", "odd"), "noise")
>>> config = ImageConfig(encoder="convnet", width=2, h=8, batch=32, epochs=1, blur=False, neighbours=5)
>>> run = train(config, images, max_steps=2)
>>> run.steps, run.failed
(2, '')
""",
    "featnorm.simsiam.noise.SgdPath": """
>>> x = np.random.default_rng(0).standard_normal((3, 2, 5, 4))
>>> path = sgd_path((np.eye(2), np.eye(2, 4)), x, 0.1, rho=0.01)
>>> path.W.shape, path.grad_Phi.shape
((4, 2, 2), (3, 2, 4))
""",
    "featnorm.simsiam.noise.GradientNoise": """
>>> gamma2 = gradient_noise(8, 64, 1.0, 32)
>>> gamma2.W > 0, gamma2.Phi > gamma2.W   # Phi has more entries
(True, True)
""",
    "featnorm.simsiam.noise.Equilibrium": """
>>> at = noise_equilibrium(gradient_noise(8, 64, 1.0, 32), 0.1, 0.01)
>>> at.W > 0, at.Phi > at.W
(True, True)
""",
    "featnorm.simsiam.noise_surveys.Case": """
>>> case = Case("d", d=16, product=0.01)
>>> W, Phi = case.start()
>>> W.shape, Phi.shape
((8, 8), (8, 16))
""",
    "featnorm.simsiam.noise_surveys.stationary_norms": """
>>> from featnorm import results
>>> run = results.load("noise-stationary")
>>> run.manifest["made_by"], run.arrays["W4"].ndim
('featnorm.simsiam.noise_surveys.stationary_norms', 2)
""",
    "featnorm.simsiam.noise_surveys.overlaps": """
>>> from featnorm import results
>>> run = results.load("noise-overlap")
>>> run.manifest["made_by"], run.arrays["overlap"].ndim
('featnorm.simsiam.noise_surveys.overlaps', 3)
""",
    "featnorm.simsiam.noise_surveys.annealed_runs": """
>>> from featnorm import results
>>> run = results.load("noise-annealed")
>>> run.manifest["made_by"], run.arrays["Phi"].ndim
('featnorm.simsiam.noise_surveys.annealed_runs', 3)
""",
    "featnorm.simsiam.noise_surveys.comparison_map": """
>>> from featnorm import results
>>> run = results.load("noise-comparison")
>>> run.manifest["made_by"], run.arrays["N_x"].ndim
('featnorm.simsiam.noise_surveys.comparison_map', 2)
""",
    "featnorm.simsiam.noise_surveys.early_eigenvalues": """
>>> from featnorm import results
>>> run = results.load("noise-early")
>>> run.manifest["made_by"], run.arrays["below"].ndim
('featnorm.simsiam.noise_surveys.early_eigenvalues', 3)
""",
    "featnorm.simsiam.noise_surveys.trained_ends": """
>>> from featnorm import results
>>> run = results.load("noise-ends")
>>> run.manifest["made_by"], bool(np.allclose(run.arrays["phi"].sum(axis=1), 1.0))
('featnorm.simsiam.noise_surveys.trained_ends', True)
""",
    "featnorm.simsiam.phase.FlowEnd": """
>>> FlowEnd(rank=3.5, modes=5.0).rank
3.5
""",
    "featnorm.simsiam.predicted.Alignment": """
>>> from featnorm.simsiam.linear import LinearConfig, train
>>> at = alignment(train(LinearConfig(h=4, d=8, rho=1.0, batch=8, epochs=1, steps_per_epoch=1)))
>>> at.cosine.shape, at.kept.tolist()
((2,), [0, 0])
""",
    "featnorm.simsiam.relatives.Features": """
>>> Features("vicreg").weights.variance
25.0
>>> Features("simsiam")
Traceback (most recent call last):
...
ValueError: method = 'simsiam': must be one of barlow, vicreg
""",
    "featnorm.simsiam.relatives.Replicas": """
>>> state = np.zeros((5, 2, 2)), np.zeros((5, 2, 4)), np.zeros((5, 2, 4))
>>> Replicas(*state).Target.shape   # five replicas, h = 2, d = 4
(5, 2, 4)
""",
    "featnorm.simsiam.variations.Trained": """
>>> run = train(Variation(), Setting(h=2, d=4), starts=3, steps=2, lr=0.1, batch=8, seed=0)
>>> run.Phi.shape, run.spread.shape
((3, 2, 4), (3,))
""",
    "featnorm.simsiam.variations.variation_survey": """
>>> from featnorm import results
>>> run = results.load("robust-variations")
>>> run.manifest["made_by"], run.arrays["phi"].shape[0] == len(VARIATIONS)
('featnorm.simsiam.variations.variation_survey', True)
""",
    "featnorm.simsiam.variations.normalisation_sweep": """
>>> from featnorm import results
>>> run = results.load("robust-normalisations")
>>> run.manifest["made_by"], run.arrays["phi"].shape[0] == len(NORMALISATIONS)
('featnorm.simsiam.variations.normalisation_sweep', True)
""",
    "featnorm.simsiam.variations.size_survey": """
>>> from featnorm import results
>>> run = results.load("robust-sizes")
>>> run.manifest["made_by"], run.arrays["errors"].shape[2]
('featnorm.simsiam.variations.size_survey', 4)
""",
    "featnorm.surveys.terminal_states": """
>>> found = terminal_states(3, 2, 0)
>>> found["w0"].shape, found["phi"].shape
((2, 3), (2, 3))
""",
    "featnorm.surveys.assumption_4_ends": """
>>> from featnorm import results
>>> run = results.load("assumption-4-ends-h16")
>>> run.manifest["made_by"], run.arrays["W0"].shape[2:]
('featnorm.surveys.assumption_4_ends', (16, 16))
""",
}
