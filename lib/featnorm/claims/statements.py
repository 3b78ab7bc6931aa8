"""Every statement of the paper that carries a number or a claim, and every statement we add, one `Claim` each.

The formulas of the source text were lost; ``restored`` says how sure each one is. The symbols of the model, used
throughout: x and x' are two views of the same input x0 with noise variance sigma^2, a = 1 + sigma^2; Phi (h x d) is
the representation net, W (h x h) the projection head, Psi = W Phi, F = Phi Phi^T; u = W Phi x and v = Phi x' are the
two features, omega = u / ||u|| and z' = v / ||v||; N_Phi = ||Phi||_F, N_Psi = ||Psi||_F, N_x = tr(Phi^T Psi) /
(N_Phi N_Psi); w_j and varphi_j are eigenvalues of W and F with a common eigenvector; rho is the weight decay.
"""

from __future__ import annotations

from textwrap import dedent

from featnorm.claims.model import Claim


# Lines break with \cr where a formula has a \tag: Sphinx puts a display that contains a double backslash into a split
# environment, which takes no tag.
def _text(block: str) -> str:
    return dedent(block).strip()


STATEMENTS: tuple[Claim, ...] = (
    # ---------------------------------------------------------------------------------------- abstract, Sections 1-3
    Claim(
        id="order-six",
        kind="statement",
        name="Sixth order",
        title="the cosine loss gives a sixth-order law, the L2 loss a third-order one",
        place="Abstract, Sec. 5.2",
        statement=_text(r"""
            With the norms held fixed, the eigenvalue dynamics (7) of the cosine loss is a polynomial of degree six in
            the eigenvalue $w_j$ of $W$; the dynamics (8) of the L2 loss has degree three.
            """),
        restored="exact",
        chapter="order",
        uses=("eq-7", "eq-8"),
    ),
    Claim(
        id="equilibrium-emerges",
        kind="statement",
        name="Emergence",
        title="a stable equilibrium appears although there was none at first",
        place="Abstract, Sec. 5.2",
        statement=_text(r"""
            Under the cosine loss the coefficients of (7) change with the state. Training may start where $w_j=0$ is
            the only stable equilibrium; as $N_\Phi$ and $N_\Psi$ fall, a positive stable equilibrium appears.
            """),
        restored="exact",
        chapter="regimes",
        uses=("eq-7", "regime-collapse", "regime-acute"),
    ),
    Claim(
        id="figure-1",
        kind="figure",
        name="Figure 1",
        title="SimSiam under heavy weight decay",
        place="Sec. 1",
        statement=_text(r"""
            A pilot run: SimSiam with the cosine loss is trained with a weight decay $\rho$ far above its default
            value. The representation does not collapse.
            """),
        restored="guess",
        chapter="heavy_decay",
        collapse=("functional",),
        uses=("eq-2",),
    ),
    Claim(
        id="eq-1",
        kind="statement",
        name="Eq. 1",
        title="L2 loss",
        place="Sec. 3",
        statement=_text(r"""
            The L2 loss compares the online feature $u=W\Phi x$ with the target feature $v=\Phi x'$, where
            $\operatorname{SG}$ marks what is held fixed in the gradient:

            $$
            L_{\mathrm{sq}}(\Phi,W)=\tfrac12\,\E_{x_0}\E_{x,x'\mid x_0}
            \big[\norm{W\Phi x-\operatorname{SG}(\Phi x')}_2^2\big].
            \tag{1}
            $$
            """),
        restored="exact",
        chapter="model",
    ),
    Claim(
        id="eq-2",
        kind="statement",
        name="Eq. 2",
        title="cosine loss",
        place="Sec. 3",
        statement=_text(r"""
            The cosine loss normalises both features before it compares them; $\operatorname{SG}$ marks what is held
            fixed in the gradient:

            $$
            L_{\cos}(\Phi,W)=-\E_{x_0}\E_{x,x'\mid x_0}\left[
            \frac{\langle W\Phi x,\operatorname{SG}(\Phi x')\rangle}
            {\norm{W\Phi x}_2\,\norm{\operatorname{SG}(\Phi x')}_2}\right]=-\E[\omega^\top z'].
            \tag{2}
            $$

            Weight decay adds $R(\Phi,W)=\frac\rho2\big(\norm{\Phi}_F^2+\norm{W}_F^2\big)$.
            """),
        restored="exact",
        chapter="model",
    ),
    Claim(
        id="l2-collapses-at-once",
        kind="statement",
        name="L2 in practice",
        title="with the L2 loss the networks collapse immediately",
        place="Sec. 3",
        statement=_text(r"""
            In practice BYOL and SimSiam collapse at once when the cosine loss (2) is replaced by the L2 loss (1).
            (The text names no weight decay. Read here, for the linear model: above the threshold of (8).)
            """),
        restored="guess",
        chapter="l2_dynamics",
        collapse=("complete",),
        uses=("eq-1",),
    ),
    # ------------------------------------------------------------------------------------------------------ Section 4
    Claim(
        id="eq-3",
        kind="statement",
        name="Eq. 3",
        title="gradient flow",
        place="Sec. 4",
        statement=_text(r"""
            Training is modelled by the gradient flow

            $$
            \begin{aligned}
            \dot\Phi&=-\nabla_\Phi\{L_{\cos}(\Phi,W)+R(\Phi,W)\},\cr
            \dot W&=-\nabla_W\{L_{\cos}(\Phi,W)+R(\Phi,W)\},
            \end{aligned}
            \tag{3}
            $$

            where the gradients do not pass through the target branch and
            $R=\frac\rho2(\norm{\Phi}_F^2+\norm{W}_F^2)$ is the weight decay.
            """),
        restored="exact",
        chapter="gradient_flow",
        uses=("eq-2",),
    ),
    Claim(
        id="assumption-1",
        kind="assumption",
        name="Assumption 1",
        title="symmetric projection head",
        place="Sec. 4",
        statement=_text(r"""
            $W(t)$ is symmetric at every time $t$.
            """),
        restored="exact",
        chapter="commutator",
    ),
    Claim(
        id="assumption-2",
        kind="assumption",
        name="Assumption 2",
        title="standard normal input",
        place="Sec. 4",
        statement=_text(r"""
            $x_0\sim\mathcal N(0,I_d)$. (The views are $x,x'\mid x_0\sim\mathcal N(x_0,\sigma^2I_d)$, independent.)
            """),
        restored="exact",
        chapter="model",
    ),
    Claim(
        id="assumption-3",
        kind="assumption",
        name="Assumption 3",
        title="proportional limit",
        place="Sec. 4",
        statement=_text(r"""
            $d\to\infty$ and $h\to\infty$ with $d/h\to\alpha$ for some $\alpha\in(0,\infty)$.
            """),
        restored="constants",
        chapter="model",
    ),
    Claim(
        id="assumption-4",
        kind="assumption",
        name="Assumption 4",
        title="initial parameters",
        place="Sec. 4",
        statement=_text(r"""
            At $t=0$ the numbers $\sqrt d\,\Phi_{ij}$ and, for $i\le j$, $\sqrt h\,W_{ij}$ are independent standard
            normal, and $W_{ji}=W_{ij}$.
            """),
        restored="exact",
        chapter="model",
    ),
    Claim(
        id="lemma-1",
        kind="statement",
        name="Lemma 1",
        title="the flow in matrix form",
        place="Sec. 4; proof in App. B",
        statement=_text(r"""
            Every solution of the gradient flow (3) of the cosine loss satisfies the matrix equations (4). The only
            expectation left in them is

            $$
            H=\E\big[z'\omega^\top-(\omega^\top z')\,\omega\omega^\top\big],\qquad
            \omega=\frac{W\Phi x}{\norm{W\Phi x}_2},\quad z'=\frac{\Phi x'}{\norm{\Phi x'}_2}.
            $$
            """),
        restored="exact",
        chapter="gradient_flow",
        uses=("eq-2", "eq-3"),
    ),
    Claim(
        id="eq-4",
        kind="statement",
        name="Eq. 4",
        title="matrix dynamics",
        place="Sec. 4",
        statement=_text(r"""
            With $H=\E[z'\omega^\top-(\omega^\top z')\,\omega\omega^\top]$,

            $$
            \dot WW^\top=H-\rho\,WW^\top,\qquad
            \dot\Phi\Phi^\top W^\top=W^\top H-\rho\,\Phi\Phi^\top W^\top.
            \tag{4}
            $$
            """),
        restored="exact",
        chapter="gradient_flow",
        uses=("lemma-1",),
    ),
    Claim(
        id="lemma-2",
        kind="statement",
        name="Lemma 2",
        title="feature norms concentrate, for a fixed input",
        place="Sec. 4; proof in App. B",
        statement=_text(r"""
            Under Assumptions 1-4, for a fixed $x_0$ and a fixed time,

            $$
            \begin{aligned}
            \tfrac1h\norm{\Phi x}_2^2&=\tfrac1h\big(\norm{\Phi x_0}_2^2+\sigma^2\norm{\Phi}_F^2\big)+o_P(1),\\
            \tfrac1h\norm{\Psi x}_2^2&=\tfrac1h\big(\norm{\Psi x_0}_2^2+\sigma^2\norm{\Psi}_F^2\big)+o_P(1),
            \end{aligned}
            $$

            and the same holds with $x'$ in place of $x$.
            """),
        restored="constants",
        chapter="hanson_wright",
        uses=(
            "eq-17",
            "eq-18",
            "eq-19",
            "eq-20",
            "eq-21",
            "eq-22",
            "lemma-7",
            "lemma-8",
            "lemma-9",
            "lemma-11",
            "lemma-13",
            "lemma-15",
            "lemma-16",
            "assumption-1",
            "assumption-2",
            "assumption-3",
            "assumption-4",
        ),
    ),
    Claim(
        id="lemma-3",
        kind="statement",
        name="Lemma 3",
        title="feature norms concentrate over inputs",
        place="Sec. 4; proof in App. B",
        statement=_text(r"""
            Under Assumptions 1-4, at a fixed time,

            $$
            \tfrac1h\norm{\Phi x_0}_2^2=\tfrac1h\norm{\Phi}_F^2+o_P(1),\qquad
            \tfrac1h\norm{\Psi x_0}_2^2=\tfrac1h\norm{\Psi}_F^2+o_P(1).
            $$

            Together with Lemma 2: $\norm{\Phi x}_2^2\simeq(1+\sigma^2)\norm{\Phi}_F^2$ and
            $\norm{\Psi x}_2^2\simeq(1+\sigma^2)\norm{\Psi}_F^2$.
            """),
        restored="constants",
        chapter="hanson_wright",
        uses=(
            "lemma-7",
            "lemma-8",
            "lemma-11",
            "lemma-15",
            "assumption-1",
            "assumption-2",
            "assumption-3",
            "assumption-4",
        ),
    ),
    Claim(
        id="lemma-4",
        kind="statement",
        name="Lemma 4",
        title="closed form of H in the limit",
        place="Sec. 4; proof in App. B",
        statement=_text(r"""
            Let $\norm{\Phi}_F$ and $\norm{\Psi}_F$ be bounded away from zero. Under Assumptions 1-4,
            $H=\hat H+o_P(1)$ with

            $$
            \hat H=\frac1{1+\sigma^2}\left(\frac{\Phi\Psi^\top}{N_\Phi N_\Psi}
            -\frac{2\,\Psi\Phi^\top\Psi\Psi^\top}{N_\Phi N_\Psi^3}
            -\frac{N_\times\Psi\Psi^\top}{N_\Psi^2}\right),\qquad
            N_\times=\frac{\tr(\Phi^\top\Psi)}{N_\Phi N_\Psi}.
            $$
            """),
        restored="constants",
        chapter="lemma_4",
        uses=("lemma-1", "lemma-2", "lemma-3"),
    ),
    Claim(
        id="remark-1",
        kind="remark",
        name="Remark 1",
        title="how the time enters the limit",
        place="Sec. 4",
        statement=_text(r"""
            The remainders of Lemmas 2 and 3 vanish as long as $t\,e^{2\rho t}$ is small compared with a power of $h$,
            for which we take $\sqrt h$. Here $t=\eta T$ after $T$ updates of step size $\eta$.
            """),
        restored="guess",
        chapter="where_concentration_stops",
        uses=("lemma-2", "lemma-3", "eq-18"),
    ),
    Claim(
        id="remark-2",
        kind="remark",
        name="Remark 2",
        title="the features are nearly isometric",
        place="Sec. 4",
        statement=_text(r"""
            All inputs get features of nearly the same length, $\norm{\Phi x}_2\approx\sqrt{1+\sigma^2}\,\norm{\Phi}_F$.
            This follows from the isotropic input and the linear encoder.
            """),
        restored="exact",
        chapter="hanson_wright",
        uses=("lemma-2", "lemma-3"),
    ),
    # ---------------------------------------------------------------------------------------------------- Section 5.1
    Claim(
        id="proposition-1",
        kind="statement",
        name="Proposition 1",
        title="F and W come to commute",
        place="Sec. 5.1; proof in App. B",
        statement=_text(r"""
            Let $W$ be non-singular and let (4) hold with $\hat H$ for $H$ and $\dot W$ symmetric (its symmetric part).
            With $A\oplus B=A\otimes B+B\otimes A$, the commutator $L=[F,W]=FW-WF$ obeys
            $\frac{d}{dt}\operatorname{vec}L=-K(t)\operatorname{vec}L$, where

            $$
            \begin{aligned}
            K={}&\frac1{1+\sigma^2}\Big\{\frac2{N_\Phi N_\Psi^3}\big[(W^2FW)\oplus I+(FW)\oplus W^2
            +\tfrac12(FWF)\oplus I+\tfrac12F\oplus(WF)\big]\\
            &\qquad+\frac{N_\times}{N_\Psi^2}\big[W^2\oplus I+\tfrac12F\oplus I\big]
            -\frac{W\oplus I}{N_\Phi N_\Psi}\Big\}+3\rho\,I.
            \end{aligned}
            $$

            If $\lambda_{\min}(K(t))\ge\lambda_0>0$ for all $t$, with $\lambda_{\min}$ the smallest eigenvalue of
            the symmetric part, then $\norm{L(t)}_F\to0$ as $t\to\infty$.
            """),
        restored="constants",
        chapter="commutator",
        uses=("eq-4", "lemma-4", "assumption-1", "eq-23", "lemma-17"),
    ),
    Claim(
        id="assumption-5",
        kind="assumption",
        name="Assumption 5",
        title="F and W commute",
        place="Sec. 5.1",
        statement=_text(r"""
            $\norm{[F(t),W(t)]}_F=0$ for all $t$, with $F=\Phi\Phi^\top$ and $[F,W]=FW-WF$.
            """),
        restored="exact",
        chapter="commutator",
    ),
    Claim(
        id="proposition-2",
        kind="statement",
        name="Proposition 2",
        title="the eigenvectors stand still",
        place="Sec. 5.1; proof in App. B",
        statement=_text(r"""
            Let $W$ be non-singular and let $F$ and $W$ commute, with common eigenvectors the columns of $U$. Under (4)
            with $\hat H$ for $H$, $\dot U=0$.
            """),
        restored="exact",
        chapter="commutator",
        uses=("eq-4", "lemma-4", "assumption-1", "assumption-5"),
    ),
    Claim(
        id="eq-5",
        kind="statement",
        name="Eq. 5",
        title="eigenvalue dynamics",
        place="Sec. 5.1",
        statement=_text(r"""
            Let $w_j$ and $\varphi_j$ be the eigenvalues of $W$ and $F$ for a common eigenvector. Under (4) with
            $\hat H$ for $H$,

            $$
            \dot w_j=\frac{\hat h_j}{w_j}-\rho\,w_j,\qquad\dot\varphi_j=2\hat h_j-2\rho\,\varphi_j,
            \tag{5}
            $$

            $$
            \hat h_j=\frac1{1+\sigma^2}\left(\frac{w_j\varphi_j}{N_\Phi N_\Psi}
            -\frac{2w_j^3\varphi_j^2}{N_\Phi N_\Psi^3}-\frac{N_\times w_j^2\varphi_j}{N_\Psi^2}\right).
            $$
            """),
        restored="exact",
        chapter="eigenvalues",
        uses=("eq-4", "lemma-4", "proposition-2", "assumption-5"),
    ),
    # ---------------------------------------------------------------------------------------------------- Section 5.2
    Claim(
        id="eq-6",
        kind="statement",
        name="Eq. 6",
        title="invariant parabola",
        place="Sec. 5.2",
        statement=_text(r"""
            Along (5), $w_j\dot w_j-\frac12\dot\varphi_j=\rho(\varphi_j-w_j^2)$, and therefore

            $$
            \varphi_j(t)=w_j(t)^2+c_j\,e^{-2\rho t},\qquad c_j=\varphi_j(0)-w_j(0)^2.
            \tag{6}
            $$
            """),
        restored="exact",
        chapter="parabola",
        uses=("eq-5",),
    ),
    Claim(
        id="parabola-before-drift",
        kind="statement",
        name="Fast parabola",
        title="the parabola is reached before the modes drift",
        place="Sec. 5.2",
        statement=_text(r"""
            For $\rho>0$ the distance $c_je^{-2\rho t}$ of a mode from the parabola $\varphi_j=w_j^2$ dies out much
            faster than $w_j$ and $\varphi_j$ drift, so they can be taken to lie on the parabola. (The two quantities
            that drift are lost in the text; "they" are then said to be on the parabola, so we take the two that can
            be. The norms are read as well.)
            """),
        restored="guess",
        chapter="parabola",
        uses=("eq-6",),
    ),
    Claim(
        id="eq-7",
        kind="statement",
        name="Eq. 7",
        title="cosine-loss dynamics on the parabola",
        place="Sec. 5.2",
        statement=_text(r"""
            On the parabola $\varphi_j=w_j^2$ the dynamics (5) becomes

            $$
            \begin{aligned}
            \dot w_j={}&-\frac{2}{(1+\sigma^2)N_\Phi N_\Psi^3}\,w_j^6-\frac{N_\times}{(1+\sigma^2)N_\Psi^2}\,w_j^3\cr
            &+\frac{1}{(1+\sigma^2)N_\Phi N_\Psi}\,w_j^2-\rho\,w_j.
            \end{aligned}
            \tag{7}
            $$

            Its equilibria are those of this polynomial with $N_\Phi,N_\Psi,N_\times$ held fixed: $w_j=0$ is always
            one, and there are two to four in all.
            """),
        restored="exact",
        chapter="cosine_dynamics",
        uses=("eq-5", "eq-6"),
    ),
    Claim(
        id="figure-2",
        kind="figure",
        name="Figure 2",
        title="the sixth-order law for several parameters",
        place="Sec. 5.2",
        statement=_text(r"""
            The right-hand side of (7) as a function of $w_j$ for several values of $N_\Phi$, $N_\Psi$ and $\rho$. From
            plot to plot the number of equilibria changes between two and four.
            """),
        restored="guess",
        chapter="cosine_dynamics",
        uses=("eq-7",),
    ),
    Claim(
        id="figure-3",
        kind="figure",
        name="Figure 3",
        title="three regimes",
        place="Sec. 5.2",
        statement=_text(r"""
            A sketch of the equilibria $w_\blacktriangledown^{(-)}<0<w_\blacktriangledown^{(+)}<w_\blacktriangle^{(+)}$
            in the regimes Collapse, Acute and Stable. As the norms fall, Collapse turns into Acute, and Acute
            approaches Stable.
            """),
        restored="exact",
        chapter="regimes",
        collapse=("complete",),
        uses=("regime-collapse", "regime-acute", "regime-stable"),
    ),
    Claim(
        id="regime-collapse",
        kind="statement",
        name="Collapse regime",
        title="zero is the only stable equilibrium",
        place="Sec. 5.2",
        statement=_text(r"""
            Where $N_\Phi$, $N_\Psi$ and $\rho$ are large together, (7) has two equilibria: an unstable one
            $w_\blacktriangledown^{(-)}<0$ and $0$, which is stable. The regime does not last: as $w_j$ shrinks, so do
            $N_\Phi$ and $N_\Psi$, and (7) passes into the other two regimes.
            """),
        restored="exact",
        chapter="regimes",
        uses=("eq-7",),
    ),
    Claim(
        id="regime-acute",
        kind="statement",
        name="Acute regime",
        title="four equilibria",
        place="Sec. 5.2",
        statement=_text(r"""
            For smaller $N_\Phi$ and $N_\Psi$, (7) has four equilibria
            $w_\blacktriangledown^{(-)}<0<w_\blacktriangledown^{(+)}<w_\blacktriangle^{(+)}$; $0$ and
            $w_\blacktriangle^{(+)}$ are stable, the others unstable. An eigenvalue that starts above
            $w_\blacktriangledown^{(+)}$ tends to $w_\blacktriangle^{(+)}$, one between $w_\blacktriangledown^{(-)}$ and
            $w_\blacktriangledown^{(+)}$ tends to $0$, and one below $w_\blacktriangledown^{(-)}$ diverges to $-\infty$.
            """),
        restored="exact",
        chapter="regimes",
        uses=("eq-7",),
    ),
    Claim(
        id="regime-stable",
        kind="statement",
        name="Stable regime",
        title="the two middle equilibria merge",
        place="Sec. 5.2",
        statement=_text(r"""
            In the limit of small $\rho N_\Phi N_\Psi$ the equilibria $0$ and $w_\blacktriangledown^{(+)}$ of (7) merge
            into one semi-stable point (a saddle point in the paper's words) between the unstable
            $w_\blacktriangledown^{(-)}$ and the stable $w_\blacktriangle^{(+)}$. An eigenvalue then converges to
            $w_\blacktriangle^{(+)}$ unless it starts below the saddle point; below $w_\blacktriangledown^{(-)}$ it
            diverges.
            (The first of the two bounds is lost in the text.)
            """),
        restored="guess",
        chapter="regimes",
        uses=("eq-7",),
    ),
    Claim(
        id="remark-3",
        kind="remark",
        name="Remark 3",
        title="the Stable regime is only approached",
        place="Sec. 5.2",
        statement=_text(r"""
            $\rho N_\Phi N_\Psi=0$ never occurs for $\rho>0$, and neither does the Stable regime, because (7) diverges
            as $N_\Phi,N_\Psi\to0$. It is nearly attained at realistic parameter values.
            """),
        restored="constants",
        chapter="regimes",
        uses=("eq-7", "regime-stable"),
    ),
    Claim(
        id="initial-above-root",
        kind="statement",
        name="Initial eigenvalues",
        title="training starts above the lowest unstable equilibrium",
        place="Sec. 5.2, Fig. 5",
        statement=_text(r"""
            Under Assumption 4 the eigenvalues of $W(0)$ lie well above $w_\blacktriangledown^{(-)}$, the negative
            unstable equilibrium of (7), so hardly any of them diverges to $-\infty$.
            """),
        restored="constants",
        chapter="regimes",
        uses=("assumption-4", "eq-7"),
    ),
    Claim(
        id="figure-5",
        kind="figure",
        name="Figure 5",
        title="initial eigenvalues of W",
        place="Sec. 5.2",
        statement=_text(r"""
            A histogram of the eigenvalues of $W(0)$ drawn as in Assumption 4. All of them exceed
            $w_\blacktriangledown^{(-)}$.
            """),
        restored="guess",
        chapter="regimes",
        uses=("assumption-4", "initial-above-root"),
    ),
    Claim(
        id="no-collapse-any-rho",
        kind="statement",
        name="Any weight decay",
        title="the cosine-loss dynamics stabilises whatever the weight decay",
        place="Sec. 5.2",
        statement=_text(r"""
            For every $\rho$, however large, the eigenvalue dynamics of the cosine loss ends at a stable equilibrium
            $w_\blacktriangle^{(+)}>0$ of (7) instead of collapsing to zero, even if it starts in the Collapse regime.
            Read in relative size: agreement and effective rank end where they would end without weight decay, so no
            dimensional or functional collapse is caused by any $\rho$. Read in absolute size: $\norm W_F$ stays away
            from zero.
            """),
        restored="exact",
        chapter="moving_norms",
        collapse=("complete", "dimensional", "functional"),
        uses=("regime-collapse", "regime-acute", "regime-stable", "initial-above-root"),
    ),
    # ---------------------------------------------------------------------------------------------------- Section 5.3
    Claim(
        id="eq-8",
        kind="statement",
        name="Eq. 8",
        title="L2-loss dynamics on the parabola",
        place="Sec. 5.3",
        statement=_text(r"""
            Under Assumptions 1, 2 and 5, with the L2 loss (1) and on the parabola $\varphi_j=w_j^2$,

            $$
            \dot w_j=w_j^2\big\{1-(1+\sigma^2)w_j\big\}-\rho\,w_j.
            \tag{8}
            $$
            """),
        restored="exact",
        chapter="l2_dynamics",
        uses=("eq-1", "assumption-1", "assumption-2", "assumption-5"),
    ),
    Claim(
        id="l2-collapses",
        kind="statement",
        name="L2 collapse",
        title="the L2 loss collapses above a threshold",
        place="Sec. 5.3",
        statement=_text(r"""
            If $\rho>\frac1{4(1+\sigma^2)}$, the only equilibrium of (8) is $0$, and every eigenvalue collapses to it.
            Below the threshold (8) has two further equilibria

            $$
            w_\pm=\frac{1\pm\sqrt{1-4(1+\sigma^2)\rho}}{2(1+\sigma^2)},\qquad w_+\text{ stable}.
            $$
            """),
        restored="exact",
        chapter="l2_dynamics",
        collapse=("complete",),
        uses=("eq-8",),
    ),
    Claim(
        id="l2-no-bifurcation",
        kind="statement",
        name="No bifurcation with L2",
        title="the L2 dynamics does not change its regime in time",
        place="Sec. 5.3",
        statement=_text(r"""
            The equilibria of (8) depend on $\rho$ and $\sigma^2$ alone, so they stay the same during training. Those of
            (7) depend also on $N_\Phi$, $N_\Psi$ and $N_\times$, and these bring about a saddle-node bifurcation.
            """),
        restored="exact",
        chapter="l2_dynamics",
        uses=("eq-7", "eq-8"),
    ),
    Claim(
        id="figure-4",
        kind="figure",
        name="Figure 4",
        title="the third-order law for three weight decays",
        place="Sec. 5.3",
        statement=_text(r"""
            The right-hand side of (8) for three values of $\rho$. The non-zero equilibria merge and vanish as $\rho$
            grows.
            """),
        restored="guess",
        chapter="l2_dynamics",
        uses=("eq-8", "l2-collapses"),
    ),
    # ---------------------------------------------------------------------------------------------------- Section 5.4
    Claim(
        id="figure-6",
        kind="figure",
        name="Figure 6",
        title="linear SimSiam against the theory",
        place="Sec. 5.4",
        statement=_text(r"""
            SimSiam with linear $\Phi$ and $W$ on standard normal data: (left) $N_\Phi$, $N_\Psi$ and $N_\times$ over
            time, (centre) asymmetry of $W$ and commutator of $F$ and $W$, (right) the leading eigenvalue of $W$ on the
            intervals where (7) lets it diverge, collapse or converge. $N_\Phi$ and $N_\Psi$ fall, a run that starts
            in Collapse passes into Acute, and the leading eigenvalue ends near the stable point.
            """),
        restored="guess",
        chapter="linear_experiment",
        collapse=("complete",),
        uses=("eq-7", "equilibrium-emerges", "symmetry-nearly-kept", "commutator-nearly-zero"),
    ),
    Claim(
        id="symmetry-nearly-kept",
        kind="statement",
        name="Near symmetry",
        title="W stays nearly symmetric in training",
        place="Sec. 5.4, App. D",
        statement=_text(r"""
            In the runs with a linear encoder $W$ stays nearly symmetric; with a ResNet-18 encoder it becomes
            asymmetric for a while and then symmetric again. (Read here, for the linear encoder at batch 512 and 2048:
            the relative asymmetry stays nearer to zero than to that of unrelated matrices, and ends nearer to zero than
            to its largest value.)
            """),
        restored="constants",
        chapter="linear_experiment",
        uses=("assumption-1",),
    ),
    Claim(
        id="commutator-nearly-zero",
        kind="statement",
        name="Near commutation",
        title="F and W nearly commute in training",
        place="Sec. 5.4, App. D",
        statement=_text(r"""
            In the runs, with a linear encoder and with a ResNet-18 encoder, the commutator $[F,W]$ is nearly zero.
            (Read here, for the linear encoder at batch 512 and 2048: it stays nearer to zero than to that of unrelated
            matrices, and ends nearer to zero than to its largest value.)
            """),
        restored="constants",
        chapter="linear_experiment",
        uses=("assumption-5",),
    ),
    # ----------------------------------------------------------------------------------------------------- Appendix A
    Claim(
        id="definition-1",
        kind="definition",
        name="Definition 1",
        title="sub-Weibull variables",
        place="App. A.1",
        statement=_text(r"""
            For $\beta>0$ a random variable $X$ is sub-Weibull of order $\beta$ if its norm

            $$
            \norm{X}_{\psi_\beta}=\inf\big\{\eta>0:\E\exp\big((|X|/\eta)^\beta\big)\le2\big\}
            $$

            is finite; $\beta=2$ gives the sub-Gaussian and $\beta=1$ the sub-exponential variables.
            """),
        restored="exact",
        chapter="subweibull",
    ),
    Claim(
        id="proposition-3",
        kind="statement",
        name="Proposition 3",
        title="tails, moments and exponential moments agree",
        place="App. A.1",
        statement=_text(r"""
            For fixed $\beta>0$ these three conditions on $X$ are equivalent, with $K_1,K_2,K_3$ equal up to factors
            that depend on $\beta$ only:

            $$
            \begin{aligned}
            &P(|X|\ge x)\le2\exp\big(-(x/K_1)^\beta\big)\quad\text{for all }x\ge0,\\
            &\norm{X}_{L^p}\le K_2\,p^{1/\beta}\quad\text{for all }p\ge1,\\
            &\E\exp\big((|X|/K_3)^\beta\big)\le2.
            \end{aligned}
            $$
            """),
        restored="exact",
        chapter="subweibull",
        uses=("definition-1",),
    ),
    Claim(
        id="proposition-4",
        kind="statement",
        name="Proposition 4",
        title="products and sums",
        place="App. A.1",
        statement=_text(r"""
            If $X$ and $Y$ are sub-Weibull of order $\beta$, dependent or not, then

            $$
            \norm{XY}_{\psi_{\beta/2}}\le\norm{X}_{\psi_\beta}\norm{Y}_{\psi_\beta},\qquad
            \norm{X+Y}_{\psi_\beta}\le C_\beta\big(\norm{X}_{\psi_\beta}+\norm{Y}_{\psi_\beta}\big),
            $$

            where $C_\beta=1$ for $\beta\ge1$ and $C_\beta\le2^{1/\beta-1}$ for $\beta<1$.
            """),
        restored="exact",
        chapter="subweibull",
        uses=("definition-1",),
    ),
    Claim(
        id="proposition-5",
        kind="statement",
        name="Proposition 5",
        title="sums of independent variables concentrate",
        place="App. A.1",
        statement=_text(r"""
            Let $X_1,\dots,X_n$ be independent with $\norm{X_i}_{\psi_\beta}\le K$, $0<\beta\le1$. There is a $C_\beta$
            such that for all $b\in\R^n$ and $\delta\in(0,1)$, with probability at least $1-\delta$,

            $$
            \Big|\sum_{i=1}^nb_i(X_i-\E X_i)\Big|\le C_\beta K\Big(\norm{b}_2\sqrt{\log(2/\delta)}
            +\norm{b}_\infty\log^{1/\beta}(2/\delta)\Big).
            $$
            """),
        restored="exact",
        chapter="subweibull",
        uses=("definition-1",),
    ),
    Claim(
        id="lemma-5",
        kind="statement",
        name="Lemma 5",
        title="Frobenius norm of a random matrix",
        place="App. A.1",
        statement=_text(r"""
            If every entry of $A\in\R^{m\times n}$ satisfies $\norm{A_{ij}}_{\psi_\beta}\le K$, then
            $\norm{A}_F=O_P(K\sqrt{mn})$. The entries may be dependent.
            """),
        restored="constants",
        chapter="random_matrices",
        uses=("proposition-3", "proposition-4"),
    ),
    Claim(
        id="lemma-6",
        kind="statement",
        name="Lemma 6",
        title="spectral norm of a random matrix",
        place="App. A.1",
        statement=_text(r"""
            Let the entries of $A\in\R^{m\times n}$ be independent and centred with
            $\norm{A_{ij}}_{\psi_\beta}\le K$. Then the spectral norm satisfies
            $\norm{A}=O_P\big(K(m+n)^{1/\beta}\big)$. (The source does not say "independent and centred". We read it in,
            since the proof follows one that needs both; for $\beta\le1$ neither is needed.)
            """),
        restored="constants",
        chapter="random_matrices",
        uses=("proposition-3", "proposition-4"),
    ),
    Claim(
        id="theorem-1",
        kind="statement",
        name="Theorem 1",
        title="Grönwall-Bellman inequality",
        place="App. A.2",
        statement=_text(r"""
            Let $\beta\ge0$ be integrable, $\alpha$ non-decreasing and $u$ continuous on an interval $[0,T)$. If
            $u(t)\le\alpha(t)+\int_0^t\beta(s)u(s)\,ds$ for all $t$, then

            $$
            u(t)\le\alpha(t)\exp\Big(\int_0^t\beta(s)\,ds\Big)\qquad\text{for all }t\in[0,T).
            $$
            """),
        restored="exact",
        chapter="gronwall",
    ),
    Claim(
        id="lemma-7",
        kind="statement",
        name="Lemma 7",
        title="initial size of two Gram matrices",
        place="App. A.3",
        statement=_text(r"""
            Under the initialisation of Assumption 4 and in the limit of Assumption 3, $\norm{\Phi}=O_P(1)$ (spectral
            norm), and

            $$
            \norm{\Phi^\top\Phi}_F=O_P(\sqrt h),\qquad\norm{\Psi^\top\Psi}_F=O_P(\sqrt h).
            $$
            """),
        restored="constants",
        chapter="random_matrices",
        uses=("assumption-3", "assumption-4", "lemma-6", "proposition-4"),
    ),
    Claim(
        id="lemma-8",
        kind="statement",
        name="Lemma 8",
        title="initial Frobenius norms",
        place="App. A.3",
        statement=_text(r"""
            Under the initialisation of Assumption 4 and in the limit of Assumption 3,

            $$
            \norm{\Phi}_F=O_P(\sqrt h),\qquad\norm{\Psi}_F=O_P(\sqrt h),\qquad\norm{WW^\top}_F=O_P(\sqrt h).
            $$
            """),
        restored="constants",
        chapter="random_matrices",
        uses=("assumption-3", "assumption-4", "lemma-5", "proposition-4"),
    ),
    Claim(
        id="lemma-9",
        kind="statement",
        name="Lemma 9",
        title="initial Gram matrices applied to an input",
        place="App. A.3",
        statement=_text(r"""
            Under Assumption 2, the initialisation of Assumption 4 and the limit of Assumption 3,

            $$
            \norm{\Phi^\top\Phi x_0}_2=O_P(\sqrt h),\qquad\norm{\Psi^\top\Psi x_0}_2=O_P(\sqrt h).
            $$
            """),
        restored="constants",
        chapter="random_matrices",
        uses=("assumption-2", "assumption-3", "assumption-4", "lemma-6", "proposition-3", "proposition-4"),
    ),
    Claim(
        id="lemma-10",
        kind="statement",
        name="Lemma 10",
        title="growth of F",
        place="App. A.3",
        statement=_text(r"""
            There is an absolute constant $C$ such that for all $t\ge0$

            $$
            \norm{F(t)}_F\le\big(\norm{F(0)}_F+C\,t\big)e^{2\rho t}.
            $$
            """),
        restored="constants",
        chapter="gronwall",
        uses=("eq-12", "theorem-1"),
    ),
    Claim(
        id="eq-9",
        kind="statement",
        name="Eq. 9",
        title="integral bound on F",
        place="App. A.3, proof of Lemma 10",
        statement=_text(r"""
            By the triangle inequality, since $\dot F=\dot\Phi\Phi^\top+\Phi\dot\Phi^\top$,

            $$
            \begin{aligned}
            \norm{F(t)}_F&\le\norm{F(0)}_F+\int_0^t\norm{\dot F(s)}_F\,ds\cr
            &\le\norm{F(0)}_F+2\int_0^t\norm{\dot\Phi\Phi^\top(s)}_F\,ds.
            \end{aligned}
            \tag{9}
            $$
            """),
        restored="constants",
        chapter="gronwall",
    ),
    Claim(
        id="eq-10",
        kind="statement",
        name="Eq. 10",
        title="how F moves",
        place="App. A.3, proof of Lemma 10",
        statement=_text(r"""
            Let $W$ be non-singular, so that $\dagger$, the Moore-Penrose inverse, is the inverse. Then (4) gives

            $$
            \dot\Phi\Phi^\top=W^\top H(W^\top)^\dagger-\rho F.
            \tag{10}
            $$
            """),
        restored="constants",
        chapter="gronwall",
        uses=("eq-4",),
    ),
    Claim(
        id="eq-11",
        kind="statement",
        name="Eq. 11",
        title="bound on the driving term",
        place="App. A.3, proof of Lemma 10",
        statement=_text(r"""
            There is a constant $C$, independent of $h$, $d$ and $t$, such that along the flow from the start of
            Assumption 4

            $$
            \norm{W^\top H(W^\top)^\dagger}_F\le C.
            \tag{11}
            $$

            (The text does not say for which $W$ and $F$ the bound is meant; two other readings are tested beside it.)
            """),
        restored="constants",
        chapter="gronwall",
        uses=("lemma-1",),
    ),
    Claim(
        id="eq-12",
        kind="statement",
        name="Eq. 12",
        title="integral inequality for F",
        place="App. A.3, proof of Lemma 10",
        statement=_text(r"""
            With an absolute constant $C$,

            $$
            \norm{F(t)}_F\le\norm{F(0)}_F+C\,t+2\rho\int_0^t\norm{F(s)}_F\,ds.
            \tag{12}
            $$
            """),
        restored="constants",
        chapter="gronwall",
        uses=("eq-9", "eq-10", "eq-11"),
    ),
    Claim(
        id="lemma-11",
        kind="statement",
        name="Lemma 11",
        title="growth of the Gram matrix of Phi",
        place="App. A.3",
        statement=_text(r"""
            There is an absolute constant $C$ such that for all $t\ge0$

            $$
            \norm{\Phi^\top\Phi(t)}_F\le\big(\norm{\Phi^\top\Phi(0)}_F+C\,t\big)e^{2\rho t}.
            $$
            """),
        restored="constants",
        chapter="gronwall",
        uses=("lemma-10",),
    ),
    Claim(
        id="lemma-12",
        kind="statement",
        name="Lemma 12",
        title="growth of W",
        place="App. A.3",
        statement=_text(r"""
            For all $t\ge0$, in the Frobenius norm and in the spectral norm alike,

            $$
            \norm{WW^\top(t)}\le\big(\norm{WW^\top(0)}+2t\big)e^{2\rho t}.
            $$
            """),
        restored="constants",
        chapter="gronwall",
        uses=("eq-4", "theorem-1"),
    ),
    Claim(
        id="lemma-13",
        kind="statement",
        name="Lemma 13",
        title="growth of the Gram matrix of Phi applied to an input",
        place="App. A.3",
        statement=_text(r"""
            There is an absolute constant $C$ such that for all $x_0\in\R^d$ and $t\ge0$

            $$
            \norm{\Phi^\top\Phi(t)x_0}_2\le\big(\norm{\Phi^\top\Phi(0)x_0}_2+C\,t\,\norm{x_0}_2\big)e^{2\rho t}.
            $$
            """),
        restored="constants",
        chapter="gronwall",
        uses=("eq-4", "eq-10", "theorem-1"),
    ),
    Claim(
        id="lemma-14",
        kind="statement",
        name="Lemma 14",
        title="growth of Psi",
        place="App. A.3",
        statement=_text(r"""
            For $\rho>0$ there is an absolute constant $c$ such that for all $t\ge0$

            $$
            \norm{\Psi\Psi^\top(t)}_F
            \le\Big\{\norm{\Psi\Psi^\top(0)}_F+\frac c\rho\,(C+t)\,e^{2\rho t}\Big\}e^{4\rho t}
            $$

            with $C=\norm{F(0)}_F+\norm{WW^\top(0)}_F$.
            """),
        restored="constants",
        chapter="gronwall",
        uses=("eq-13", "eq-14", "eq-15", "lemma-10", "lemma-12", "theorem-1", "assumption-1"),
    ),
    Claim(
        id="eq-13",
        kind="statement",
        name="Eq. 13",
        title="integral bound on Psi",
        place="App. A.3, proof of Lemma 14",
        statement=_text(r"""
            Since $\Psi\Psi^\top=WFW^\top$,

            $$
            \begin{aligned}
            \norm{\Psi\Psi^\top(t)}_F\le\norm{\Psi\Psi^\top(0)}_F
            &+2\int_0^t\underbrace{\norm{\dot WFW^\top}_F}_{(A)}ds\cr
            &+\int_0^t\underbrace{\norm{W\dot FW^\top}_F}_{(B)}ds.
            \end{aligned}
            \tag{13}
            $$
            """),
        restored="constants",
        chapter="gronwall",
    ),
    Claim(
        id="eq-14",
        kind="statement",
        name="Eq. 14",
        title="the part of Eq. 13 that W moves",
        place="App. A.3, proof of Lemma 14",
        statement=_text(r"""
            By (4), with $\dagger$ for the Moore-Penrose inverse and a constant $C$ independent of $h$, $d$ and $t$,
            along the flow from the start of Assumption 4

            $$
            \begin{aligned}
            (A)&=\norm{H(W^\top)^\dagger FW^\top-\rho\,\Psi\Psi^\top}_F\cr
            &\le C\,\norm{F}_F+\rho\,\norm{\Psi\Psi^\top}_F.
            \end{aligned}
            \tag{14}
            $$

            (The text does not say for which $W$ and $F$ the bound is meant; two other readings are tested beside it.)
            """),
        restored="constants",
        chapter="gronwall",
        uses=("eq-4", "eq-13"),
    ),
    Claim(
        id="eq-15",
        kind="statement",
        name="Eq. 15",
        title="the part of Eq. 13 that Phi moves",
        place="App. A.3, proof of Lemma 14",
        statement=_text(r"""
            By (4), with $\dagger$ for the Moore-Penrose inverse and an absolute constant $C$,

            $$
            \begin{aligned}
            (B)&\le2\,\norm{WW^\top H(W^\top)^\dagger W^\top}_F+2\rho\,\norm{\Psi\Psi^\top}_F\cr
            &\le C\,\norm{WW^\top}_F+2\rho\,\norm{\Psi\Psi^\top}_F.
            \end{aligned}
            \tag{15}
            $$
            """),
        restored="constants",
        chapter="gronwall",
        uses=("eq-10", "eq-13"),
    ),
    Claim(
        id="lemma-15",
        kind="statement",
        name="Lemma 15",
        title="growth of the Gram matrix of Psi",
        place="App. A.3",
        statement=_text(r"""
            The bound of Lemma 14 holds for $\Psi^\top\Psi$: for $\rho>0$, with an absolute constant $c$ and
            $C=\norm{F(0)}_F+\norm{WW^\top(0)}_F$,

            $$
            \norm{\Psi^\top\Psi(t)}_F
            \le\Big\{\norm{\Psi^\top\Psi(0)}_F+\frac c\rho\,(C+t)\,e^{2\rho t}\Big\}e^{4\rho t}.
            $$
            """),
        restored="constants",
        chapter="gronwall",
        uses=("lemma-10", "lemma-12", "theorem-1", "assumption-1"),
    ),
    Claim(
        id="lemma-16",
        kind="statement",
        name="Lemma 16",
        title="growth of the Gram matrix of Psi applied to an input",
        place="App. A.3",
        statement=_text(r"""
            For $\rho>0$ there is an absolute constant $c$ such that for all $x_0\in\R^d$ and $t\ge0$

            $$
            \norm{\Psi^\top\Psi(t)x_0}_2\le\Big\{\norm{\Psi^\top\Psi(0)x_0}_2
            +\frac c\rho\big[(C_1+t)\norm{x_0}_2+C_2\big]e^{2\rho t}\Big\}e^{4\rho t},
            $$

            where $C_1=\norm{WW^\top(0)}$ (spectral norm) and $C_2=\norm{\Phi^\top\Phi(0)x_0}_2$.
            """),
        restored="constants",
        chapter="gronwall",
        uses=("eq-16", "lemma-12", "lemma-13", "theorem-1", "assumption-1"),
    ),
    Claim(
        id="eq-16",
        kind="statement",
        name="Eq. 16",
        title="integral bound on Psi applied to an input",
        place="App. A.3, proof of Lemma 16",
        statement=_text(r"""
            Since $\Psi^\top\Psi=\Phi^\top W^\top W\Phi$,

            $$
            \begin{aligned}
            \norm{\Psi^\top\Psi(t)x_0}_2\le{}&\norm{\Psi^\top\Psi(0)x_0}_2\cr
            &+\int_0^t\underbrace{\norm{\Phi^\top\tfrac{d(W^\top W)}{ds}\Phi x_0}_2}_{(A)}ds\cr
            &+\int_0^t\underbrace{\norm{\dot\Phi^\top W^\top W\Phi x_0+\Phi^\top W^\top W\dot\Phi x_0}_2}_{(B)}ds.
            \end{aligned}
            \tag{16}
            $$
            """),
        restored="constants",
        chapter="gronwall",
    ),
    # ----------------------------------------------------------------------------------------------------- Appendix B
    Claim(
        id="eq-17",
        kind="statement",
        name="Eq. 17",
        title="deviation of the squared feature norm",
        place="App. B, proof of Lemma 2",
        statement=_text(r"""
            For fixed $x_0$, the expectation being over $x$,

            $$
            \norm{\Phi x}_2^2-\E\norm{\Phi x}_2^2
            =\underbrace{\norm{\Phi(x-x_0)}_2^2-\sigma^2\norm{\Phi}_F^2}_{(A)}
            +\underbrace{2\langle\Phi^\top\Phi x_0,\,x-x_0\rangle}_{(B)}.
            \tag{17}
            $$
            """),
        restored="constants",
        chapter="hanson_wright",
    ),
    Claim(
        id="eq-18",
        kind="statement",
        name="Eq. 18",
        title="quadratic part of the deviation",
        place="App. B, proof of Lemma 2",
        statement=_text(r"""
            There is an absolute constant $C$ such that for (A) of (17), with probability at least $1-\delta$,

            $$
            |(A)|\le C\sigma^2\max\Big\{\norm{\Phi^\top\Phi}_F\sqrt{\log(2/\delta)},\;
            \norm{\Phi^\top\Phi}\log(2/\delta)\Big\}.
            \tag{18}
            $$
            """),
        restored="constants",
        chapter="hanson_wright",
        uses=("eq-17",),
    ),
    Claim(
        id="eq-19",
        kind="statement",
        name="Eq. 19",
        title="linear part of the deviation",
        place="App. B, proof of Lemma 2",
        statement=_text(r"""
            There is an absolute constant $C$ such that for (B) of (17), with probability at least $1-\delta$,

            $$
            |(B)|\le C\sigma\,\norm{\Phi^\top\Phi x_0}_2\sqrt{\log(2/\delta)}.
            \tag{19}
            $$
            """),
        restored="constants",
        chapter="hanson_wright",
        uses=("eq-17",),
    ),
    Claim(
        id="eq-20",
        kind="statement",
        name="Eq. 20",
        title="deviation of the squared norm of the prediction",
        place="App. B, proof of Lemma 2",
        statement=_text(r"""
            For fixed $x_0$, the expectation being over $x$,

            $$
            \norm{\Psi x}_2^2-\E\norm{\Psi x}_2^2
            =\underbrace{\norm{\Psi(x-x_0)}_2^2-\sigma^2\norm{\Psi}_F^2}_{(A)}
            +\underbrace{2\langle\Psi^\top\Psi x_0,\,x-x_0\rangle}_{(B)}.
            \tag{20}
            $$
            """),
        restored="constants",
        chapter="hanson_wright",
    ),
    Claim(
        id="eq-21",
        kind="statement",
        name="Eq. 21",
        title="quadratic part, prediction",
        place="App. B, proof of Lemma 2",
        statement=_text(r"""
            There is an absolute constant $C$ such that for (A) of (20), with probability at least $1-\delta$,

            $$
            |(A)|\le C\sigma^2\max\Big\{\norm{\Psi^\top\Psi}_F\sqrt{\log(2/\delta)},\;
            \norm{\Psi^\top\Psi}\log(2/\delta)\Big\}.
            \tag{21}
            $$
            """),
        restored="constants",
        chapter="hanson_wright",
        uses=("eq-20",),
    ),
    Claim(
        id="eq-22",
        kind="statement",
        name="Eq. 22",
        title="linear part, prediction",
        place="App. B, proof of Lemma 2",
        statement=_text(r"""
            There is an absolute constant $C$ such that for (B) of (20), with probability at least $1-\delta$,

            $$
            |(B)|\le C\sigma\,\norm{\Psi^\top\Psi x_0}_2\sqrt{\log(2/\delta)}.
            \tag{22}
            $$
            """),
        restored="constants",
        chapter="hanson_wright",
        uses=("eq-20",),
    ),
    Claim(
        id="lemma-17",
        kind="statement",
        name="Lemma 17",
        title="rules for commutators",
        place="App. B, before the proof of Proposition 1",
        statement=_text(r"""
            For square matrices $A,B,C$ of the same size and $[A,B]=AB-BA$,

            $$
            [A,A]=0,\qquad[A,B]=-[B,A],\qquad[A,BC]=[A,B]C+B[A,C],\qquad[AB,C]=A[B,C]+[A,C]B.
            $$
            """),
        restored="exact",
        chapter="commutator",
    ),
    Claim(
        id="eq-23",
        kind="statement",
        name="Eq. 23",
        title="derivative of the commutator",
        place="App. B, proof of Proposition 1",
        statement=_text(r"""
            For $L=[F,W]$,

            $$
            \dot L=[\dot F,W]+[F,\dot W].
            \tag{23}
            $$
            """),
        restored="exact",
        chapter="commutator",
    ),
    # ---------------------------------------------------------------------------------------------- Appendices C and D
    Claim(
        id="appendix-c",
        kind="statement",
        name="Appendix C",
        title="the saddle-node bifurcation",
        place="App. C",
        statement=_text(r"""
            Set $N_\times=0$ in (7) and write $\dot w=f(w)+g(w)$ with

            $$
            f(w)=-\frac{2}{(1+\sigma^2)N_\Phi N_\Psi^3}w^6+\frac{1}{(1+\sigma^2)N_\Phi N_\Psi}w^2,\qquad g(w)=-\rho\,w.
            $$

            For $\rho=0$ the roots are $0$ (double) and $\pm(N_\Psi^2/2)^{1/4}$; for small $\rho>0$ there are four
            (Acute), for large $\rho$ two (Collapse).
            """),
        restored="exact",
        chapter="cosine_dynamics",
        collapse=("complete",),
        uses=("eq-7",),
    ),
    Claim(
        id="figure-7",
        kind="figure",
        name="Figure 7",
        title="the two parts of the vector field",
        place="App. C",
        statement=_text(r"""
            The curves $f(w)$ and $-g(w)=\rho w$ of Appendix C, which meet at the equilibria: twice in the Collapse
            regime (left), four times in the Acute regime (centre), and the Stable limit (right).
            """),
        restored="guess",
        chapter="regimes",
        collapse=("complete",),
        uses=("appendix-c",),
    ),
    Claim(
        id="figure-8",
        kind="figure",
        name="Figure 8",
        title="distribution of the eigenvalues over time",
        place="App. D.1",
        statement=_text(r"""
            Linear SimSiam: the distribution of the absolute eigenvalues of $W$ over time. It concentrates sharply at
            zero, and a few eigenvalues stay well above it.
            """),
        restored="guess",
        chapter="linear_experiment",
        uses=("assumption-4", "few-survive"),
    ),
    Claim(
        id="few-survive",
        kind="statement",
        name="Few survive",
        title="only a few eigenvalues stay positive",
        place="App. D",
        statement=_text(r"""
            In the simulation, only a few eigenvalues of $W$ remain positive after training; the others are nearly
            zero. Complete collapse is avoided as long as some remain.
            """),
        restored="guess",
        collapse=("complete", "dimensional"),
        chapter="how_many_survive",
        uses=("regime-acute",),
    ),
    Claim(
        id="figure-9",
        kind="figure",
        name="Figure 9",
        title="four leading eigenvalues against the theory",
        place="App. D.1",
        statement=_text(r"""
            Linear SimSiam: the four leading absolute eigenvalues of $W$ over time on the intervals where (7) lets them
            diverge, collapse or converge. A few (three in the paper) stay positive and end in the interval of
            convergence, the next goes to zero.
            """),
        restored="guess",
        chapter="linear_experiment",
        collapse=("complete",),
        uses=("eq-7", "few-survive"),
    ),
    Claim(
        id="figure-10",
        kind="figure",
        name="Figure 10",
        title="ResNet-18: distribution of the eigenvalues",
        place="App. D.2",
        statement=_text(r"""
            SimSiam with a ResNet-18 encoder on CIFAR-10: the eigenvalues of the linear head $W$ over time. Most of
            them go to zero and a few do not.
            """),
        restored="guess",
        uses=("few-survive",),
    ),
    Claim(
        id="figure-11",
        kind="figure",
        name="Figure 11",
        title="ResNet-18: norms, asymmetry, commutator",
        place="App. D.2",
        statement=_text(r"""
            SimSiam with a ResNet-18 encoder on CIFAR-10: the three norm parameters shrink, $W$ becomes asymmetric for
            a while and then symmetric, and $F$ and $W$ nearly commute.
            """),
        restored="guess",
        uses=("symmetry-nearly-kept", "commutator-nearly-zero"),
    ),
    Claim(
        id="figure-12",
        kind="figure",
        name="Figure 12",
        title="ResNet-18: each eigenvalue against the theory",
        place="App. D.2",
        statement=_text(r"""
            SimSiam with a ResNet-18 encoder on CIFAR-10: single eigenvalues of $W$ over time on the intervals of (7).
            The run passes from Collapse into Acute, and the non-zero eigenvalues end in the interval of convergence.
            """),
        restored="guess",
        collapse=("complete",),
        uses=("eq-7", "equilibrium-emerges"),
    ),
    # ---------------------------------------------------------------------------------------------- beyond the paper
    Claim(
        id="beyond-collapse-metrics",
        kind="beyond",
        name="Three collapses",
        title="what collapse means here",
        place="not in the paper",
        statement=_text(r"""
            Let $r_F=(\tr F)^2/\norm{F}_F^2$ be the effective rank of $F$ and $z=\Phi x/\norm{\Phi x}_2$. We call
            collapse *complete* if $\norm{\Phi}_F\to0$, *dimensional* if $r_F$ falls towards $1$, and *functional* if
            $\E\norm{z-\E z}_2^2=1-\norm{\E z}_2^2\to0$. Scaling $\Phi$ by a factor changes only the first.

            In the linear model $x$ and $-x$ have the same law, so $\E z=0$ and $\E\norm{z-\E z}_2^2=1$ for every
            $\Phi\ne0$. What remains of functional collapse there is rank one, where $z$ takes only the values $\pm e$
            for one unit vector $e$.
            """),
        restored="exact",
        collapse=("complete", "dimensional", "functional"),
        chapter="model",
        uses=("assumption-2",),
        nearest=(
            "{cite:t}`jing2022` separate dimensional from complete collapse; {cite:t}`chen2021simsiam` watch the "
            "spread of the normalised features."
        ),
        new=(
            "Nothing beyond the bookkeeping: one number for each kind, and which of them the linear model can show "
            "at all."
        ),
    ),
    Claim(
        id="beyond-norm-law",
        kind="beyond",
        name="Norm law",
        title="both layers shrink at the same exact rate",
        place="not in the paper",
        statement=_text(r"""
            Along the gradient flow (3) of the cosine loss, for any data, any sizes and any $W$, symmetric or not,

            $$
            \norm{W(t)}_F=e^{-\rho t}\norm{W(0)}_F,\qquad\norm{\Phi(t)}_F=e^{-\rho t}\norm{\Phi(0)}_F,
            $$

            as long as the gradients have a finite expectation and the normalisation has no numerical floor.
            """),
        restored="exact",
        chapter="clock",
        uses=("eq-2", "eq-3"),
        nearest=(
            "For weights whose scale does not matter, {cite:t}`vanlaarhoven2017`, {cite:t}`li2020reconciling` and "
            "{cite:t}`wan2021` show that the gradient is orthogonal to the weights, so that weight decay alone sets "
            "their norm along the flow."
        ),
        new=(
            "The argument is theirs, applied to each of the two layers under the stop-gradient cosine loss; new is "
            "what it says about this model: no equilibrium of non-zero size exists for positive weight decay."
        ),
    ),
    Claim(
        id="beyond-clock",
        kind="beyond",
        name="Clock",
        title="weight decay only changes the clock",
        place="not in the paper",
        statement=_text(r"""
            Write $(W,\Phi)(t;\rho)$ for the flow (3) from one starting point. For every $\rho>0$

            $$
            (W,\Phi)(t;\rho)=e^{-\rho t}\,(W,\Phi)\big(s(t);0\big),\qquad s(t)=\frac{e^{2\rho t}-1}{2\rho}.
            $$

            Hence every quantity that does not depend on the common scale of $W$ and $\Phi$ (loss, $N_\times$, effective
            rank, normalised spectrum) runs through one curve, whatever $\rho\ge0$.
            """),
        restored="exact",
        chapter="clock",
        uses=("eq-3", "beyond-norm-law"),
        nearest=(
            "{cite:t}`vanlaarhoven2017` and {cite:t}`li2020reconciling`: for scale-invariant networks weight decay "
            "acts through an effective learning rate."
        ),
        new=(
            "The exact change of time for both layers together, and its consequence for collapse: under the cosine "
            "loss the strength of weight decay cannot change which scale-free state the flow runs to."
        ),
    ),
    Claim(
        id="beyond-balance",
        kind="beyond",
        name="Balance law",
        title="the mismatch between the layers keeps its relative size",
        place="not in the paper",
        statement=_text(r"""
            Along the flow (3), for any data and any $W$,

            $$
            W^\top W-\Phi\Phi^\top=e^{-2\rho t}\big(W(0)^\top W(0)-\Phi(0)\Phi(0)^\top\big).
            $$

            The same holds for the L2 loss (1); the stop-gradient is needed. Under the cosine loss
            $\norm{\Phi}_F^2=e^{-2\rho t}\norm{\Phi(0)}_F^2$, so the mismatch divided by $\norm{\Phi}_F^2$ is constant.
            """),
        restored="exact",
        chapter="clock",
        uses=("eq-1", "eq-3", "beyond-norm-law"),
        nearest=(
            "The balance theorem of {cite:t}`tian2021` for the L2 loss; for linear networks in general "
            "{cite:t}`du2018` and {cite:t}`saxe2014`."
        ),
        new=(
            "That it holds for the cosine loss too, and that there, together with the norm law, the initial mismatch "
            "is not forgotten in relative terms."
        ),
    ),
    Claim(
        id="beyond-sgd-symmetry",
        kind="beyond",
        name="Symmetry of SGD",
        title="step size and weight decay act through their product",
        place="not in the paper",
        statement=_text(r"""
            Let SGD on the cosine loss, with or without momentum (its buffer started at zero, or multiplied by
            $c^{-1/2}$), use step sizes $\eta_k$ and weight decay $\rho$. For every $c>0$ and the same batches, the
            change

            $$
            (\eta_k,\rho,W(0),\Phi(0))\to(c\,\eta_k,\;\rho/c,\;\sqrt c\,W(0),\;\sqrt c\,\Phi(0))
            $$

            multiplies all later $W$ and $\Phi$ by $\sqrt c$ and leaves every scale-free quantity as it is. What counts
            is $\eta\rho$, $\eta/\norm{W(0)}_F^2$, $\norm{\Phi(0)}_F/\norm{W(0)}_F$, batch size, momentum and schedule.
            """),
        restored="exact",
        chapter="discrete_steps",
        uses=("eq-2",),
        nearest=(
            "{cite:t}`li2020reconciling`: for scale-invariant networks the product of step size and weight decay is "
            "the intrinsic learning rate."
        ),
        new=(
            "The same symmetry for two layers scaled together, momentum included. The list of invariants shows "
            "which comparisons at equal product are legitimate."
        ),
    ),
    Claim(
        id="beyond-noise-equilibrium",
        kind="beyond",
        name="Noise equilibrium",
        title="in SGD the norms are held up by gradient noise",
        place="not in the paper",
        statement=_text(r"""
            Let SGD on the cosine loss have constant $\eta$, $\mu$ and $\rho>0$, and let $k$ equal modes be alive. In
            the stationary state, as $\eta\rho\to0$,

            $$
            \norm{W}_F^4=\frac{\eta\,\gamma_W^2}{2\rho(1-\mu)}\,\big\{1+O(\sqrt{\eta\rho})\big\},\qquad
            \norm{\Phi}_F^4=\frac{\eta\,\gamma_\Phi^2}{2\rho(1-\mu)}\,\big\{1+O(\sqrt{\eta\rho})\big\}.
            $$

            Here $\gamma_W^2=\norm{W}_F^2\,\E\norm{g_W-\E g_W}_F^2$ is the variance of the batch gradient times the
            squared norm, and $\gamma_\Phi^2$ the same for $\Phi$. The noise of equal modes gives both in closed form.
            So $\varphi_j/w_j^2\to\gamma_\Phi/\gamma_W$, about $\sqrt{d/k}$, rather than $1$.
            """),
        restored="exact",
        chapter="discrete_steps",
        uses=("eq-2", "beyond-norm-balance", "beyond-gradient-noise", "beyond-sgd-symmetry"),
        nearest=(
            "{cite:t}`wan2021` and {cite:t}`li2020reconciling` derive the equilibrium of norm growth and weight decay "
            "for one scale-invariant weight vector."
        ),
        new=(
            "The two layers reach different norms; their ratio grows with the input dimension, which moves the "
            "modes off the paper's parabola."
        ),
    ),
    Claim(
        id="beyond-exact-moments",
        kind="beyond",
        name="Exact moments",
        title="the exact eigenvalue dynamics at finite size",
        place="not in the paper",
        statement=_text(r"""
            Let $F$ and $W$ be symmetric with common eigenvectors and eigenvalues $\varphi_k,w_k$, and let the data be
            those of Assumption 2. Then $w_j\dot w_j=H_{jj}-\rho w_j^2$ and $\dot\varphi_j=2H_{jj}-2\rho\varphi_j$ with

            $$
            H_{jj}=\frac1\pi\int_0^\infty\!\!\int_0^\infty\frac{ds\,dr}{\sqrt{sr}}\prod_k\Delta_k^{-1/2}\left\{
            \frac{w_j\varphi_j}{\Delta_j}-2s\,w_j^2\varphi_j\,\frac{a+(a^2-1)q_j}{\Delta_j}
            \Big(T+\frac{2w_j\varphi_j}{\Delta_j}\Big)\right\},
            $$

            $$
            p_k=2s\,w_k^2\varphi_k,\quad q_k=2r\,\varphi_k,\quad\Delta_k=1+a(p_k+q_k)+(a^2-1)p_kq_k,\quad
            T=\sum_k\frac{w_k\varphi_k}{\Delta_k},\quad a=1+\sigma^2,
            $$

            at any $h$ and $d$, and $\sum_jH_{jj}=0$.
            """),
        restored="exact",
        chapter="exact_moments",
        uses=("lemma-1", "assumption-2", "beyond-exact-commuting"),
        nearest=(
            "Moments of ratios of quadratic forms in Gaussian variables as integrals of a Laplace transform are "
            "classical {cite:p}`mathai1992`; {cite:t}`bao2023` treats the limit of large size."
        ),
        new="The double integral for this pair of normalised features, and with it the exact flow at finite size.",
    ),
    Claim(
        id="beyond-exact-commuting",
        kind="beyond",
        name="Commuting states",
        title="commuting states stay commuting under the exact flow",
        place="not in the paper",
        statement=_text(r"""
            Let $\Phi=UDV^\top$ and $W=U\diag(w)U^\top$ with orthogonal $U$ ($h\times h$) and $V$ ($d\times d$) and a
            rectangular diagonal $D$. For isotropic Gaussian data the gradient flow (3) of the cosine loss keeps this
            form with the same $U$ and $V$, for all $h,d$, without the closure $\hat H$, and also if $W$ is singular, as
            long as the gradient exists.
            """),
        restored="exact",
        chapter="commutator",
        uses=("eq-3", "lemma-1", "assumption-2"),
        nearest=(
            "Proposition 2 of {cite:t}`bao2023`, which uses the closure and a non-singular projection head; for the L2 "
            "loss {cite:t}`tian2021`, and for supervised linear networks {cite:t}`saxe2014`."
        ),
        new="The statement for the exact flow at finite size; the proof is the reflection symmetry of the data.",
    ),
    Claim(
        id="beyond-lemma-4-relative",
        kind="beyond",
        name="Lemma 4, relative",
        title="the closure is right in relative error",
        place="not in the paper",
        statement=_text(r"""
            Take commuting states whose eigenvalues are distributed either as at initialisation ($w_j$ by the semicircle
            law of radius 2, $\varphi_j$ by the Marchenko-Pastur law, paired at random) or aligned ($w_j>0$,
            $\varphi_j=w_j^2$, with a fixed relative spread $>0$). Then

            $$
            \frac{\norm{H-\hat H}_F}{\norm{H}_F}\to0\qquad(h\to\infty).
            $$

            The division matters: $\norm{H}_F=O(h^{-1/2})$ in these states, so $H=\hat H+o_P(1)$ holds also with the
            zero matrix for $\hat H$.
            """),
        restored="exact",
        chapter="lemma_4",
        uses=("lemma-4", "beyond-exact-moments"),
        nearest="Lemma 4 of {cite:t}`bao2023`, with its additive remainder.",
        new=(
            "The relative form, measured against the exact moments in two kinds of state. It fails where all "
            "eigenvalues are equal, because the exact term is then zero."
        ),
    ),
    Claim(
        id="beyond-middle-term",
        kind="beyond",
        name="Middle term",
        title="Lemma 4's middle term helps early and hurts late",
        place="not in the paper",
        statement=_text(r"""
            The middle term of $\hat H$ is of relative order $1/h$, the order of what Lemma 4 neglects, so no limit
            $h\to\infty$ can see it: with any factor before it the relative error still tends to zero. At finite $h$
            it can be seen. In states as at initialisation $\norm{H-\hat H}_F$ is smaller with the middle term than
            without it; in aligned states it is larger.
            """),
        restored="exact",
        chapter="lemma_4",
        uses=("lemma-4", "beyond-consistent-closure", "beyond-exact-moments"),
        nearest="Lemma 4 of {cite:t}`bao2023`, whose closure contains the term.",
        new="What the term is worth, in which phase of training, measured against the exact moments.",
    ),
    Claim(
        id="beyond-consistent-closure",
        kind="beyond",
        name="Consistent closure",
        title="the expansion one order further",
        place="not in the paper",
        statement=_text(r"""
            In a commuting state let $A_j=w_j^2\varphi_j/N_\Psi^2$, $B_j=\varphi_j/N_\Phi^2$ and
            $C_j=w_j\varphi_j/(N_\Phi N_\Psi)$, all $O(1/h)$, so $\sum_jC_j=N_\times$. With $a=1+\sigma^2$,

            $$
            \begin{aligned}
            a\,H_{jj}={}&C_j(1-3A_j-B_j+G_1)-A_jN_\times\big(1-3A_j-B_j/a^2+G_2\big)\\
            &+A_j\textstyle\sum_k(3A_k+B_k)C_k+O(h^{-3}),\\
            G_1={}&\textstyle\sum_k\big(\tfrac34A_k^2+\tfrac34B_k^2+\tfrac1{2a^2}A_kB_k\big),\quad
            G_2=\sum_k\big(\tfrac{15}4A_k^2+\tfrac34B_k^2+\tfrac3{2a^2}A_kB_k\big).
            \end{aligned}
            $$

            The terms shown sum to zero over $j$, as the exact $H_{jj}$ do. The leading order is
            $a\,H_{jj}=C_j-A_jN_\times$, of degree three in $w_j$ on the parabola.
            """),
        restored="exact",
        chapter="lemma_4",
        uses=("lemma-1", "beyond-exact-moments"),
        nearest=(
            "The closure of {cite:t}`bao2023`, which keeps one of the terms of relative size $1/h$; expansions of "
            "moments of ratios of quadratic forms are classical {cite:p}`mathai1992`."
        ),
        new="All terms of relative size $1/h$ together, so that the trace vanishes as it must.",
    ),
    Claim(
        id="beyond-trace",
        kind="beyond",
        name="Trace defect",
        title="the exact term has no trace, its closure does",
        place="not in the paper",
        statement=_text(r"""
            $\tr H=\E[\omega^\top z'-\omega^\top z']=0$ for any data and any state, but for symmetric $W$

            $$
            \tr\hat H=-\frac{2\tr(WFWFW)}{(1+\sigma^2)N_\Phi N_\Psi^3},
            $$

            which in general is not zero; it is negative if $W$ is positive definite.
            """),
        restored="exact",
        chapter="lemma_4",
        uses=("lemma-1", "lemma-4"),
        nearest="The closure of {cite:t}`bao2023`; the exact part is scale invariance, as in the norm law.",
        new=(
            "The formula: the whole trace of the closure comes from its middle term, the one that makes the dynamics "
            "sixth-order."
        ),
    ),
    Claim(
        id="beyond-saddle-node",
        kind="beyond",
        name="Saddle-node curve",
        title="all equilibria of Eq. 7 and the curve between the regimes",
        place="not in the paper",
        statement=_text(r"""
            Let $N_\Phi,N_\Psi,N_\times$ be fixed, $\tau=N_\times N_\Phi N_\Psi$ and
            $\kappa=1/((1+\sigma^2)N_\Phi N_\Psi)$. For $\rho>0$ and any sign of $\tau$, (7) has the equilibrium $0$,
            exactly one negative equilibrium, and two positive ones, one (a fold) or none as $\rho<\rho_c$,
            $\rho=\rho_c$ or $\rho>\rho_c$. The curve $\rho_c(\tau)$, with the double root $w_*\in(0,\infty)$ as
            parameter, is

            $$
            \tau=\frac{N_\Psi^2-10w_*^4}{2w_*},\qquad
            \rho_c=\kappa\Big(\frac{w_*}2+\frac{3w_*^5}{N_\Psi^2}\Big).
            $$

            At $N_\times=0$: $w_*=(N_\Psi^2/10)^{1/4}$ and $\rho_c=\frac45\kappa w_*$. With four equilibria the
            stabilities from left to right are unstable, stable, unstable, stable.
            """),
        restored="exact",
        chapter="regimes",
        uses=("eq-7",),
        nearest=(
            "{cite:t}`bao2023` reads the regimes from plots and finds the roots at $\\rho=0$, $N_\\times=0$ (Section "
            "5.2, Appendix C); the fold itself is textbook material {cite:p}`strogatz2015`."
        ),
        new=(
            "The classification, by Descartes' rule of signs, for every sign of $N_\\times$, and the curve in closed "
            "form."
        ),
    ),
    Claim(
        id="beyond-terminal-state",
        kind="beyond",
        name="Terminal state",
        title="where the leading-order flow ends",
        place="not in the paper",
        statement=_text(r"""
            In a commuting state, at $\rho=0$ and to leading order in $1/h$, with $\tau=\sum_kw_k\varphi_k$,
            $\kappa=1/((1+\sigma^2)N_\Phi N_\Psi)$ and $\lambda=\tau/N_\Psi^2$,

            $$
            \dot w_j=\kappa\varphi_j(1-\lambda w_j),\qquad\dot\varphi_j=2\kappa w_j\varphi_j(1-\lambda w_j).
            $$

            Let all $\varphi_j(0)>0$, some $w_j(0)>0$, and $c_j=\varphi_j(0)-w_j(0)^2$. Then the $w_j$ of all modes that
            survive ($\varphi_j(\infty)>0$) reach one value $\bar w>0$, and

            $$
            \varphi_j(\infty)=\begin{cases}0&\text{if }w_j(0)<0\text{ and }c_j\le0,\\
            \max(\bar w^2+c_j,0)&\text{otherwise,}\end{cases}\qquad\sum_j\varphi_j(\infty)=\norm{\Phi(0)}_F^2.
            $$

            The sum fixes $\bar w$. Modes that die end at $w_j=\pm\sqrt{-c_j}$, with the sign of $w_j(0)$.
            """),
        restored="exact",
        chapter="survivors",
        uses=("beyond-consistent-closure", "beyond-balance", "beyond-norm-law"),
        nearest=(
            "{cite:t}`halvagal2023` find for the cosine loss that the surviving eigenvalues become equal, in a "
            "dynamics of representations; {cite:t}`saxe2014` solve linear networks mode by mode."
        ),
        new=(
            "Which modes survive, and at what size, from the initial state: a water-filling rule. Negative eigenvalues "
            "may cross zero and survive; large positive ones may die."
        ),
    ),
    Claim(
        id="beyond-survivors",
        kind="beyond",
        name="Surviving set",
        title="who survives the exact flow, one order further",
        place="not in the paper",
        statement=_text(r"""
            Take $\bar w$, $c_j$ and $b_k=\varphi_k(\infty)/\sum_i\varphi_i(\infty)$ from the leading-order terminal
            state. To the next order in $1/h$, but with this $\bar w$, whose shift at the same order is left out, mode
            $j$ survives the exact flow from a commuting start if and only if

            $$
            \bar w^2\Big(1+2(1-a^{-2})\sum_kb_k^2\Big)+c_j>0\quad\text{and}\quad(w_j(0)>0\text{ or }c_j>0),
            \qquad a=1+\sigma^2.
            $$
            """),
        restored="exact",
        chapter="survivors",
        uses=("beyond-terminal-state", "beyond-consistent-closure", "beyond-exact-moments"),
        nearest=("{cite:t}`halvagal2023` find for the cosine loss that the surviving eigenvalues become equal."),
        new="The border between survivors and dead modes, and how well it sorts the modes of the exact flow.",
    ),
    Claim(
        id="beyond-effective-rank",
        kind="beyond",
        name="Effective rank",
        title="effective rank alone decides the relative spread of the norms",
        place="not in the paper",
        statement=_text(r"""
            Let $r_F=(\tr F)^2/\norm{F}_F^2$ and $r_\Psi=(\tr\Psi\Psi^\top)^2/\norm{\Psi\Psi^\top}_F^2$. For
            $x\sim\mathcal N(0,(1+\sigma^2)I_d)$ and any non-zero $\Phi$ and $\Psi$, at any time and any $\rho$,

            $$
            \frac{\operatorname{sd}\norm{\Phi x}_2^2}{\E\norm{\Phi x}_2^2}=\sqrt{\frac2{r_F}},\qquad
            \frac{\operatorname{sd}\norm{\Psi x}_2^2}{\E\norm{\Psi x}_2^2}=\sqrt{\frac2{r_\Psi}}.
            $$
            """),
        restored="exact",
        chapter="where_concentration_stops",
        uses=("assumption-2",),
        nearest=(
            "The variance of a Gaussian quadratic form and its tails are textbook material "
            "{cite:p}`laurent2000,vershynin2018`."
        ),
        new="Its use: Lemmas 2 to 4 need large effective ranks, and neither bounded norms nor a bound on the time.",
    ),
    Claim(
        id="beyond-self-consistent-extinction",
        kind="beyond",
        name="Extinction",
        title="with norms taken from the modes, the closure dies out in finite time",
        place="not in the paper",
        statement=_text(r"""
            In (5) let $N_\Phi,N_\Psi,N_\times$ be those of the modes themselves. For $k$ equal modes on the parabola
            with common value $w>0$,

            $$
            \dot w=-\frac{2}{(1+\sigma^2)k^2w}-\rho\,w,\qquad
            t^*=\frac1{2\rho}\ln\Big(1+\tfrac12\rho(1+\sigma^2)k^2w(0)^2\Big).
            $$

            There is no positive equilibrium, and $w$ reaches $0$ at $t^*$, which tends to $(1+\sigma^2)k^2w(0)^2/4$ as
            $\rho\to0$. The exact flow from the same state is $w(t)=w(0)e^{-\rho t}$.
            """),
        restored="exact",
        chapter="order",
        uses=("eq-5", "beyond-norm-law", "beyond-trace"),
        nearest="Equations 5 and 7 of {cite:t}`bao2023`, whose analysis holds the norms fixed.",
        new=(
            "The solution with coupled norms. The extinction comes from the trace defect and takes a time of order "
            "$k^2$, beyond the fixed times that the paper treats."
        ),
    ),
    # ----------------------------------------------------------------------- beyond the paper: concentration and growth
    Claim(
        id="beyond-sharp-equivalence",
        kind="beyond",
        name="Sharp factors",
        title="the factors of Proposition 3, and variables that attain them",
        place="not in the paper",
        statement=_text(r"""
            Let $K_1,K_2,K_3$ be the smallest constants in the three conditions of Proposition 3. For every $X$ and
            every $\beta>0$

            $$
            K_1\le K_3\le\lambda^{1/\beta}K_1,\qquad
            K_2\le M_\beta K_3,\qquad M_\beta=\max_{y\ge\log2}\frac{y^{1/\beta}}{e^y-1},
            $$

            where $\lambda$ is the root of $2^{1/\lambda}\lambda=2(\lambda-1)$. For $\beta\ge1$ also
            $K_3\le(2\sqrt e\,\beta)^{1/\beta}K_2$. None of the four factors can be made smaller.
            """),
        restored="exact",
        chapter="subweibull",
        uses=("definition-1", "proposition-3"),
        nearest=(
            r"{cite:t}`vladimirova2020` and, for $\beta=1$ and $2$, {cite:t}`vershynin2018` prove the equivalence "
            "without numbers."
        ),
        new="The factors, and for each of them a variable that attains it.",
    ),
    Claim(
        id="beyond-many-summands",
        kind="beyond",
        name="Many summands",
        title="below exponent one, a constant that serves sums of any length",
        place="not in the paper",
        statement=_text(r"""
            Let $0<\beta<1$, let $\phi(x)=\exp(x^\beta)-1$, and let $\tilde\phi$ be the largest convex function below
            it. Let $c_\beta$ be the smallest $c$ such that for some $m$ and all $x\ge0$
            $\phi(x/c)\le1+m\big(\tilde\phi(x)-1\big)$. Then for every $n$ and all $X_1,\dots,X_n$, dependent or not,

            $$
            \norm{X_1+\dots+X_n}_{\psi_\beta}\le c_\beta\big(\norm{X_1}_{\psi_\beta}+\dots+\norm{X_n}_{\psi_\beta}\big).
            $$

            For $\beta\le1/2$ it is $c_\beta=M_\beta(\log2)^{-1/\beta}$, with $M_\beta$ as in
            {ref}`beyond-sharp-equivalence`, and no smaller constant serves every $n$.
            """),
        restored="exact",
        chapter="subweibull",
        uses=("proposition-4", "beyond-sharp-equivalence"),
        nearest=(
            r"That for $\beta<1$ the norm obeys the triangle inequality only up to a constant is well known; see "
            "{cite:t}`kuchibhotla2022`."
        ),
        new=r"The constant from the convex minorant, and that for $\beta\le1/2$ it cannot be improved.",
    ),
    Claim(
        id="beyond-spectral-norm",
        kind="beyond",
        name="Spectral norm",
        title="what independence gives, and what is left without it",
        place="not in the paper",
        statement=_text(r"""
            If the entries of $A\in\R^{m\times n}$ are independent and centred with $\norm{A_{ij}}_{\psi_\beta}\le K$
            for any $\beta>0$, then

            $$
            \norm{A}=O_P\big(K(\sqrt m+\sqrt n)\big).
            $$

            Without independence, or without centring, only $\norm{A}\le\norm{A}_F=O_P(K\sqrt{mn})$ is left, and it is
            attained: if one variable $g$ stands in every entry, $\norm{A}=\lvert g\rvert\sqrt{mn}$.
            """),
        restored="exact",
        chapter="random_matrices",
        uses=("lemma-5", "lemma-6"),
        nearest=(
            "The bound is {cite:t}`latala2005` with the fourth moments of sub-Weibull entries; for the Gaussian case "
            "see {cite:t}`vershynin2018`."
        ),
        new="The comparison with Lemma 6: sharper for every index below 2, and where Lemma 6 needs independence.",
    ),
    Claim(
        id="beyond-initial-moments",
        kind="beyond",
        name="Initial moments",
        title="second moments at initialisation, exact at every size",
        place="not in the paper",
        statement=_text(r"""
            Under Assumptions 2 and 4, for every $h$ and $d$, $\E\norm{\Phi}_F^2=\E\norm{W}_F^2=\E\norm{\Psi}_F^2=h$ and

            $$
            \begin{aligned}
            \E\norm{WW^\top}_F^2&=2h+1,\qquad
            \E\norm{\Phi^\top\Phi}_F^2=\E\norm{\Phi^\top\Phi x_0}_2^2=h\Big(1+\frac{h+1}d\Big),\\
            \E\norm{\Psi^\top\Psi}_F^2&=\E\norm{\Psi^\top\Psi x_0}_2^2
            =(2h+1)\Big(1+\frac1d\Big)+\frac{h^2+4-2/h}d.
            \end{aligned}
            $$
            """),
        restored="exact",
        chapter="random_matrices",
        uses=("assumption-2", "assumption-4"),
        nearest="Moments of Wishart and Wigner matrices are textbook material {cite:p}`bai2010`.",
        new="The formulas for this start, whose $W$ has variance $1/h$ on the diagonal too, and for $\\Psi$.",
    ),
    Claim(
        id="beyond-spectral-edges",
        kind="beyond",
        name="Spectral edges",
        title="sharp limits of the spectral norms at initialisation",
        place="not in the paper",
        statement=_text(r"""
            Under Assumption 4, as $h,d\to\infty$ with $h/d\to\lambda\in(0,\infty)$,

            $$
            \norm{\Phi}\to1+\sqrt\lambda,\qquad\norm{W}\to2,\qquad\norm{\Psi}\to(1+z)\sqrt{\frac{1+\lambda z}z}
            $$

            with

            $$
            z=\frac{\sqrt{1+8\lambda}-1}{4\lambda}.
            $$
            """),
        restored="exact",
        chapter="random_matrices",
        uses=("assumption-3", "assumption-4"),
        nearest=(
            "The first two are the limits of {cite:t}`yin1988` and {cite:t}`bai1988`. That norms of polynomials in "
            "independent Gaussian matrices go to the edge of the free law is due to {cite:t}`haagerup2005` and, for "
            "real matrices, {cite:t}`schultz2005`."
        ),
        new=(
            "The formula for $\\Psi=W\\Phi$: $W^2$ has the limit law of a square Wishart matrix, so $\\Psi$ has "
            "that of a product of two independent Gaussian matrices."
        ),
    ),
    Claim(
        id="beyond-hanson-wright-constant",
        kind="beyond",
        name="Constant",
        title="the constants of Eq. 18 and 19",
        place="not in the paper",
        statement=_text(r"""
            (18) and (21) hold with $C=4$. They do not hold with any $C<C_0$, where $C_0=3.505\ldots$ is the root of
            $C-\log(1+C)=2$: for $k$ equal modes and $\log(2/\delta)=k$ the $C$ that is needed tends to $C_0$ as
            $k\to\infty$. (19) and (22) hold with $C=2\sqrt2$ and with no smaller $C$.
            """),
        restored="exact",
        chapter="hanson_wright",
        uses=("eq-18", "eq-19"),
        nearest=(
            "$C=4$ is Lemma 1 of {cite:t}`laurent2000`, whose proof holds for weights of any sign. The paper uses an "
            "unspecified absolute constant, after {cite:t}`vershynin2018`."
        ),
        new="The lower bound, from the large deviations of equal modes.",
    ),
    Claim(
        id="beyond-growth",
        kind="beyond",
        name="Decay of sizes",
        title="what the lemmas bound by growth decays",
        place="not in the paper",
        statement=_text(r"""
            Along the flow (3) of the cosine loss, for every $\rho\ge0$ and $t\ge0$,

            $$
            \begin{aligned}
            \norm{F(t)}_F=\norm{\Phi^\top\Phi(t)}_F&\le e^{-2\rho t}\norm{\Phi(0)}_F^2,\\
            \norm{\Psi\Psi^\top(t)}_F&\le e^{-4\rho t}\norm{W(0)}_F^2\norm{\Phi(0)}_F^2,\\
            \norm{WW^\top(t)}&\le e^{-2\rho t}\norm{W(0)}_F^2,\\
            \norm{WW^\top(t)}&\le e^{-2\rho t}\norm{WW^\top(0)}+\big(1-e^{-2\rho t}\big)/\rho,
            \end{aligned}
            $$

            the last two in the Frobenius and in the spectral norm, and with $2t$ for the fraction at $\rho=0$.
            """),
        restored="exact",
        chapter="gronwall",
        uses=("lemma-1", "beyond-norm-law"),
        nearest=(
            "Lemmas 10 to 15 of {cite:t}`bao2023`, with growing exponentials; the norm law behind the first line is "
            "that of scale-invariant weights {cite:p}`vanlaarhoven2017`."
        ),
        new=(
            "Bounds with the sign of the exponent that the flow has. They do not replace Lemmas 10 and 11: at a fixed "
            "time those say $\\sqrt h$ where the norm law says $h$."
        ),
    ),
    Claim(
        id="beyond-decay-kept",
        kind="beyond",
        name="Decay kept as decay",
        title="the growth lemmas with the sign of the flow, and what becomes of Remark 1",
        place="not in the paper",
        statement=_text(r"""
            Let $s=(e^{2\rho t}-1)/(2\rho)$ be the clock, $m=e^{-2\rho t}s=(1-e^{-2\rho t})/(2\rho)$, with $s=m=t$ at
            $\rho=0$, and $C_0=\norm{F(0)}_F+\norm{WW^\top(0)}_F$. If for some $C$ and $c$ the flow without
            decay satisfies

            $$
            \begin{aligned}
            \norm{\Phi^\top\Phi(s)}_F&\le\norm{\Phi^\top\Phi(0)}_F+Cs,\\
            \norm{\Psi\Psi^\top(s)}_F&\le\norm{\Psi\Psi^\top(0)}_F+c\,s\,(C_0+s),
            \end{aligned}
            $$

            then for every $\rho$ and $t$

            $$
            \begin{aligned}
            \norm{\Phi^\top\Phi(t)}_F&\le e^{-2\rho t}\norm{\Phi^\top\Phi(0)}_F+Cm,\\
            \norm{\Psi\Psi^\top(t)}_F&\le e^{-4\rho t}\norm{\Psi\Psi^\top(0)}_F+c\,m\big(e^{-2\rho t}C_0+m\big),
            \end{aligned}
            $$

            and in the same way for $\norm{\Phi^\top\Phi x_0}_2$ and $\norm{\Psi^\top\Psi x_0}_2$ with the sizes of
            Lemmas 13 and 16. The constants $C=2$ and $c=4$, those of the proofs if Eq. 11, 14 and 15 have the constant
            one, serve in all flows that we ran.
            """),
        restored="exact",
        chapter="gronwall",
        uses=("lemma-11", "lemma-13", "lemma-14", "lemma-16", "beyond-clock", "remark-1"),
        nearest="Lemmas 10 to 16 and Remark 1 of {cite:t}`bao2023`, with growing exponentials.",
        new=(
            r"The exact sign. Since $m\le1/(2\rho)$, at a fixed $\rho>0$ the remainders over $h$ vanish at every time, "
            r"and in units of the features themselves $t\,e^{2\rho t}$ gives way to the clock."
        ),
    ),
    Claim(
        id="beyond-no-constant",
        kind="beyond",
        name="No universal constant",
        title="the bounds of Eq. 11 and Eq. 14 have no constant for all states",
        place="not in the paper",
        statement=_text(r"""
            Over all symmetric non-singular $W$ and all positive definite $F$ neither
            $\norm{W^\top HW^{-\top}}_F$ nor $\norm{HW^{-\top}FW^\top}_F/\norm F_F$ is bounded. The first grows like
            $L$ at $h=3$ for $F=\diag(L^2,1,1)$ and a $W$ with eigenvalues $\epsilon,\epsilon,1$, $\epsilon\sim1/L$,
            whose large eigenvector is turned towards the large one of $F$ by an angle $\sim1/L$. The second grows like
            $\log(1/\epsilon)$ at $h=2$ for a fixed $F$ and a $W$ with eigenvalues $1,\epsilon$ that does not commute
            with it.
            """),
        restored="exact",
        chapter="gronwall",
        uses=("eq-11", "eq-14", "beyond-repair"),
        nearest=(
            "The steps (11) and (14) in the proofs of Lemmas 10 and 14 of {cite:t}`bao2023`, as far as the lost "
            "formulas can be inferred. That similarity does not preserve the Frobenius norm is textbook linear algebra."
        ),
        new="States that show it, from exact moments. The lemmas themselves were not violated in any test.",
    ),
    Claim(
        id="beyond-repair",
        kind="beyond",
        name="Repaired step",
        title="a bound of the driving term for every state",
        place="not in the paper",
        statement=_text(r"""
            Let $K=\E\big[(I-\omega\omega^\top)z'(\Phi x)^\top/\norm{W\Phi x}_2\big]$, so that
            $\dot W=K-\rho W$. For any data and any $W$, singular or not, $\dot\Phi\Phi^\top=W^\top K-\rho F$ and

            $$
            \norm{W^\top K}_F\le\norm W\,\E\frac{\norm{\Phi x}_2}{\norm{W\Phi x}_2}
            $$

            with the spectral norm of $W$. If $W$ is non-singular, $W^\top K=W^\top HW^{-\top}$, and the right side is
            at most the condition number of $W$.
            """),
        restored="exact",
        chapter="gronwall",
        uses=("lemma-1", "eq-11"),
        nearest="The step (11) in the proof of Lemma 10 of {cite:t}`bao2023`.",
        new="A constant that depends on the state, and needs neither an inverse of $W$ nor commuting matrices.",
    ),
    Claim(
        id="beyond-initial-rank",
        kind="beyond",
        name="Rank at the start",
        title="effective ranks under Assumption 4",
        place="not in the paper",
        statement=_text(r"""
            Under Assumption 4, as $h\to\infty$ with $h/d\to\lambda$, in probability

            $$
            \frac{r_F}h\to\frac1{1+\lambda},\qquad\frac{r_\Psi}h\to\frac1{2+\lambda}.
            $$
            """),
        restored="exact",
        chapter="where_concentration_stops",
        uses=("assumption-3", "assumption-4", "beyond-effective-rank"),
        nearest="Second moments of the Marchenko-Pastur and semicircle laws, as in {cite:t}`vershynin2018`.",
        new="Their use as the sharp form of Lemmas 2 and 3 at initialisation.",
    ),
    Claim(
        id="beyond-few-modes",
        kind="beyond",
        name="Few modes",
        title="what freezing the norm costs when few modes are left",
        place="not in the paper",
        statement=_text(r"""
            Let $k$ eigenvalues of $F$ be equal and the others zero. Then $\norm{\Phi x}_2/\sqrt{\E\norm{\Phi x}_2^2}$
            has the law of $\chi_k/\sqrt k$, and what Lemma 4 replaces by one is

            $$
            \begin{aligned}
            \E\frac{\sqrt{\E\norm{\Phi x}_2^2}}{\norm{\Phi x}_2}&=\sqrt k\,\E\frac1{\chi_k}
            =\sqrt{\frac k2}\,\frac{\Gamma\big((k-1)/2\big)}{\Gamma(k/2)}\\
            &=1+\frac3{4k}+O(k^{-2})
            \end{aligned}
            $$

            for $k\ge2$, and infinite at $k=1$.
            """),
        restored="exact",
        chapter="where_concentration_stops",
        uses=("lemma-4", "beyond-effective-rank"),
        nearest="Moments of the chi distribution, textbook material.",
        new="Its use: the size of the step from Lemma 2 to Lemma 4 when the rank is small.",
    ),
    Claim(
        id="beyond-window",
        kind="beyond",
        name="Window",
        title="inside the window of Remark 1 no mode moves",
        place="not in the paper",
        statement=_text(r"""
            The clock shows $s(t)\le t\,e^{2\rho t}$. From a commuting start with the spectra of Assumption 4, up to a
            time with $t\,e^{2\rho t}=\sqrt h$,

            $$
            \max_j\left|\frac{e^{2\rho t}\varphi_j(t)}{\varphi_j(0)}-1\right|\le\frac{4}{a\sqrt h}\,(1+o(1)),
            \qquad a=1+\sigma^2,
            $$

            in probability. A mode moves by a share of order one only when the clock shows a time of order $ah$.
            """),
        restored="exact",
        chapter="where_concentration_stops",
        uses=("remark-1", "beyond-clock", "beyond-exact-moments"),
        nearest="Remark 1 of {cite:t}`bao2023`, which names the restriction on the time.",
        new="That the restriction leaves no time for learning, in the limit and to leading order.",
    ),
    # --------------------------------------------------------------------------------- beyond the paper: the exact flow
    Claim(
        id="beyond-quadrature",
        kind="beyond",
        name="Quadrature",
        title="halving the step squares the error",
        place="not in the paper",
        statement=_text(r"""
            Put $s=X^2$, $r=Y^2$ and $X=(2a\max_kw_k^2\varphi_k)^{-1/2}\sinh t$ into the integrals of the exact moments,
            and the same for $Y$ with $\varphi_k$. The integrand is then even and analytic for
            $|\operatorname{Im}t|<\pi/2$ on each axis, whatever the spectrum, and the trapezoidal rule of step $\delta$
            on both axes errs by
            $O(e^{-c/\delta})$ for every $c<\pi^2$: halving the step squares the error, up to a constant.
            """),
        restored="exact",
        chapter="exact_moments",
        uses=("beyond-exact-moments",),
        nearest=(
            "The geometric convergence of the trapezoidal rule for analytic integrands on the line is classical; "
            "{cite:t}`trefethen2014` give the theorem."
        ),
        new="The substitution that brings all singularities of this integrand to one distance, for every spectrum.",
    ),
    Claim(
        id="beyond-cubic-fold",
        kind="beyond",
        name="Cubic fold",
        title="for positive agreement the saddle-node needs no term of order six",
        place="not in the paper",
        statement=_text(r"""
            Leave out the middle term, so that at frozen norms
            $\dot w=\frac1a\big(\frac{w^2}{N_\Phi N_\Psi}-\frac{N_\times w^3}{N_\Psi^2}\big)-\rho w$. If $N_\times>0$
            this law has two positive equilibria for $0<\rho<\rho_3$ and none for $\rho>\rho_3$, with

            $$
            \rho_3=\frac1{4(1+\sigma^2)N_\times N_\Phi^2},\qquad
            \frac{\rho_c}{\rho_3}=1-\frac1{4\theta^4}+O(\theta^{-8}),\quad\theta=\frac{N_\times N_\Phi}{\sqrt{N_\Psi}},
            $$

            where $\rho_c$ is the threshold of (7). If $N_\times\le0$ it has exactly one positive equilibrium for every
            $\rho>0$, so no fold.
            """),
        restored="exact",
        chapter="order",
        uses=("eq-7", "beyond-saddle-node", "beyond-consistent-closure"),
        nearest="The saddle-node of Eq. 8 for the L2 loss, which {cite:t}`tian2021` find with the same cubic.",
        new="That the cosine law has this fold, at a threshold that moves with the state, and how near that is to (7).",
    ),
    Claim(
        id="beyond-own-share",
        kind="beyond",
        name="Own share",
        title="without agreement the fold comes from the mode's own share in the norms",
        place="not in the paper",
        statement=_text(r"""
            Take one mode on the parabola at $w$ beside many small modes whose norms are $N_\Phi$, $N_\Psi$ and whose
            $N_\times$ is zero, and count the mode itself in the norms: $N_\Psi^2+w^4$, $N_\times N_\Phi N_\Psi=w^3$.
            For $N_\Phi^2\gg w^2$ the cubic law becomes

            $$
            \dot w=\frac{N_\Psi^2\,w^2}{(1+\sigma^2)N_\Phi\,(N_\Psi^2+w^4)^{3/2}}-\rho w,
            $$

            which has two positive equilibria below and none above
            $\rho_c=\big(\tfrac56\big)^{3/2}5^{-1/4}\big/\big((1+\sigma^2)N_\Phi\sqrt{N_\Psi}\big)$. The two meet at
            $w_*=(N_\Psi^2/5)^{1/4}$.
            """),
        restored="exact",
        chapter="order",
        uses=("beyond-consistent-closure", "beyond-cubic-fold"),
        nearest="Section 5.2 of {cite:t}`bao2023`: with the norms held fixed the fold comes from the middle term.",
        new="A second source of the same fold, at leading order, with its threshold in closed form.",
    ),
    Claim(
        id="beyond-two-decays",
        kind="beyond",
        name="Two decays",
        title="different decays of the layers break the clock, not the norm law",
        place="not in the paper",
        statement=_text(r"""
            Let $W$ decay with $\rho_W$ and $\Phi$ with $\rho_\Phi$ along the gradient flow of the cosine loss. Then
            $\norm{W(t)}_F=e^{-\rho_Wt}\norm{W(0)}_F$ and $\norm{\Phi(t)}_F=e^{-\rho_\Phi t}\norm{\Phi(0)}_F$. And
            $W=e^{-\rho_Wt}\hat W$, $\Phi=e^{-\rho_\Phi t}\hat\Phi$, where

            $$
            \frac{d\hat W}{dt}=-e^{2\rho_Wt}\,\nabla_WL_{\cos}(\hat W,\hat\Phi),\qquad
            \frac{d\hat\Phi}{dt}=-e^{2\rho_\Phi t}\,\nabla_\Phi L_{\cos}(\hat W,\hat\Phi).
            $$

            If $\rho_W\ne\rho_\Phi$, the two learning rates have the ratio $e^{2(\rho_W-\rho_\Phi)t}$: no change of time
            turns this into the flow without decay.
            """),
        restored="exact",
        chapter="clock",
        uses=("eq-3", "beyond-norm-law", "beyond-clock"),
        nearest=(
            "{cite:t}`wan2021` and {cite:t}`li2020reconciling`: in networks with several scale-invariant groups of "
            "weights each group has an effective learning rate of its own."
        ),
        new=(
            "The exact form for the two layers here: the difference of the decays acts as a relative learning rate "
            "that grows without bound."
        ),
    ),
    Claim(
        id="beyond-floor",
        kind="beyond",
        name="Numerical floor",
        title="a floor under the norms ends the norm law",
        place="not in the paper",
        statement=_text(r"""
            Libraries compute the cosine with a floor $\epsilon$, as $u^\top\bar z/\max(\norm u_2,\epsilon)$ with
            $\bar z=v/\max(\norm v_2,\epsilon)$. Along the gradient flow of that loss

            $$
            \begin{aligned}
            \frac{d}{dt}\norm{W}_F^2&=-2\rho\norm{W}_F^2+2g,\\
            \frac{d}{dt}\norm{\Phi}_F^2&=-2\rho\norm{\Phi}_F^2+2g,\qquad
            g=\E\Big[\mathbf 1\{\norm u_2<\epsilon\}\,\frac{u^\top\bar z}{\epsilon}\Big].
            \end{aligned}
            $$

            Above the floor $g=0$, which is the norm law. PyTorch's `cosine_similarity` takes the derivative of the norm
            as if there were no floor; there $g$ carries the further factor $1-\norm u_2/\epsilon$.
            """),
        restored="exact",
        chapter="clock",
        uses=("eq-2", "eq-3", "beyond-norm-law"),
        nearest=(
            "That a constant added in a normalisation ends its scale invariance is known; {cite:t}`vanlaarhoven2017` "
            "and {cite:t}`li2020reconciling` assume that there is none."
        ),
        new="The size of the effect for this loss, and that two functions of PyTorch differ in it.",
    ),
    # --------------------------------------------------------------------------------- beyond the paper: the commutator
    Claim(
        id="beyond-commutator-start",
        kind="beyond",
        name="Commutator at the start",
        title="how far F and W are from commuting under Assumption 4",
        place="not in the paper",
        statement=_text(r"""
            Under Assumption 4, for every $h$ and $d$,

            $$
            \frac{\E\norm{[F,W]}_F^2}{\E\,(\norm{FW}_F+\norm{WF}_F)^2}=\frac{h^2-1}{2h(h+d+1)}.
            $$

            As $h,d\to\infty$ with $h/d\to\lambda$, the right side tends to $\lambda/(2(1+\lambda))$.
            """),
        restored="exact",
        chapter="commutator",
        uses=("assumption-4",),
        nearest=(
            "Moments of Wishart matrices are textbook material {cite:p}`muirhead1982`; {cite:t}`bao2023` plots the "
            "commutator along a run."
        ),
        new="The value at the start. It does not vanish in the proportional limit, so Assumptions 3 and 4 exclude 5.",
    ),
    Claim(
        id="beyond-kept-symmetric",
        kind="beyond",
        name="Relative commutator",
        title="with W kept symmetric, F and W come to commute in relative terms",
        place="not in the paper",
        statement=_text(r"""
            Let $\dot W$ be replaced by its symmetric part, $W(0)$ be symmetric and $\rho=0$. To leading order in $1/h$
            the states at rest with $F\ne0$ and $\lambda=\tr(WF)/N_\Psi^2>0$ are those with $2F=\lambda(WF+FW)$, and in
            all of them $[F,W]=0$ and $WF=\lambda^{-1}F$. Along the exact flow from Assumption 4's starts

            $$
            \frac{\norm{[F,W]}_F}{\norm{FW}_F+\norm{WF}_F}\longrightarrow0.
            $$
            """),
        restored="exact",
        chapter="commutator",
        uses=("proposition-1", "assumption-1", "assumption-4", "beyond-consistent-closure", "beyond-clock"),
        nearest=(
            "Proposition 1 of {cite:t}`bao2023`, on the absolute size of the commutator; Theorem 3 of "
            "{cite:t}`tian2021` for the L2 loss."
        ),
        new=(
            "The scale-free form: that all states at rest commute is derived to leading order, and that the flow goes "
            "there is measured. With weight decay the same holds by the clock."
        ),
    ),
    Claim(
        id="beyond-raw-commutator",
        kind="beyond",
        name="Remaining commutator",
        title="the flow itself leaves a commutator behind",
        place="not in the paper",
        statement=_text(r"""
            Let $P$ be the projector on the range of $F(\infty)$ under the flow (3) at $\rho=0$, and
            $C=\Phi(0)\Phi(0)^\top-W(0)^\top W(0)$. To leading order in $1/h$, $WP=\bar wP$, and therefore

            $$
            F(\infty)=P(\bar w^2I+C)P,\qquad PW(I-P)=-\frac1{\bar w}PC(I-P),
            $$

            and $[F,W]=F(W-W^\top)$ at the end. The commutator is zero only if $P$ commutes with $C$.
            """),
        restored="exact",
        chapter="commutator",
        uses=("beyond-balance", "beyond-consistent-closure", "assumption-5"),
        nearest=(
            "The balance law of {cite:t}`tian2021` for the L2 loss; Assumption 5 of {cite:t}`bao2023` says that the "
            "commutator is zero."
        ),
        new="What remains of the commutator without Assumption 1, and the conserved matrix that it comes from.",
    ),
    Claim(
        id="beyond-terminal-matrix",
        kind="beyond",
        name="Terminal spectrum",
        title="where the flow ends from Assumption 4's starts",
        place="not in the paper",
        statement=_text(r"""
            Let $c_j$ and $u_j$ be the eigenvalues and unit eigenvectors of $C=\Phi(0)\Phi(0)^\top-W(0)^\top W(0)$. At
            $\rho=0$ the eigenvalues of $F(\infty)$ are approximately

            $$
            \varphi_j=\begin{cases}0&\text{if }u_j^\top W(0)u_j\le0\text{ and }c_j\le0,\\
            \max(\bar w^2+c_j,0)&\text{otherwise,}\end{cases}
            $$

            where $\sum_j\varphi_j=\norm{\Phi(0)}_F^2$ fixes $\bar w$. Over starts with $d/h$ from 1 to 8 this is
            nearer to the exact flow than the rule without the condition on $u_j^\top W(0)u_j$, than equal eigenvalues,
            and than the eigenvalues of the start.
            """),
        restored="exact",
        chapter="survivors",
        uses=("beyond-terminal-state", "beyond-raw-commutator", "beyond-balance", "beyond-norm-law"),
        nearest=(
            "{cite:t}`halvagal2023` find for the cosine loss that the surviving eigenvalues become equal, in a "
            "dynamics of representations."
        ),
        new="A prediction of the final spectrum from the start alone, for starts that do not commute, and its error.",
    ),
    # -------------------------------------------------------------------------------------- beyond the paper: relatives
    Claim(
        id="beyond-relatives-byol",
        kind="beyond",
        name="BYOL",
        title="a momentum target adds one lagging number to each mode",
        place="not in the paper",
        statement=_text(r"""
            Let the target be $\Phi_ax'$ with $\dot\Phi_a=\beta(\Phi-\Phi_a)$. States
            $\Phi=U\operatorname{diag}(p)V^\top$, $W=U\operatorname{diag}(w)U^\top$,
            $\Phi_a=U\operatorname{diag}(r)V^\top$ stay of this form, and

            $$
            \dot w_j=p_jg_j-\rho w_j,\qquad\dot p_j=w_jg_j-\rho p_j,\qquad\dot r_j=\beta(p_j-r_j).
            $$

            Under the L2 loss $g_j=r_j-a\,w_jp_j$, $a=1+\sigma^2$. Under the cosine loss
            $g_j=k_j/r_j$ for $r_j\neq0$, where $k_j=H_{jj}/\tilde w_j$ is SimSiam's exact rate at the eigenvalues
            $\tilde w_j=w_jp_j/r_j$, $\tilde\varphi_j=r_j^2$; to leading order in $1/h$,

            $$
            g_j\approx\frac1{aN_aN_\Psi}\Big(r_j-\frac{\sum_kr_kw_kp_k}{N_\Psi^2}w_jp_j\Big),\qquad N_a=\norm{\Phi_a}_F.
            $$

            In both cases $w_j^2-p_j^2$ is $e^{-2\rho t}$ times its start.
            """),
        restored="exact",
        chapter="relatives",
        uses=("eq-8", "beyond-exact-moments"),
        nearest=(
            "{cite:t}`tian2021` include a moving target in their L2 analysis of BYOL {cite:p}`grill2020byol`, with "
            "$W^\\top W-\\Phi\\Phi^\\top$ conserved up to the decay."
        ),
        new="The law of the modes under the cosine loss, exact at any size.",
    ),
    Claim(
        id="beyond-relatives-byol-equilibria",
        kind="beyond",
        name="BYOL: equilibria",
        title="a copied momentum target changes the speed, and not who collapses",
        place="not in the paper",
        statement=_text(r"""
            Under the L2 loss on the parabola $p=w$, the equilibria of BYOL are those of SimSiam, $0$ and
            $w_\pm=(1\pm\sqrt{1-4a\rho})/(2a)$ with $r=w$, for every $\beta>0$: $0$ and $w_+$ are stable, $w_-$ is a
            saddle. At a non-zero equilibrium both eigenvalues of the linearisation are real,

            $$
            \mu=-\tfrac12\Big(2aw^2+\beta\mp\sqrt{(2aw^2-\beta)^2+4\beta w}\Big).
            $$

            The slow one tends to SimSiam's $-w(2aw-1)$ as $\beta\to\infty$, and is $-\beta(1-1/(2aw))$ to first order
            in $\beta$. With the target a copy at the start, $r(0)=w(0)>0$, the mode tends to $w_+$ if $w(0)>w_-$ and to
            $0$ (complete collapse) if $w(0)<w_-$.
            """),
        restored="exact",
        chapter="relatives",
        uses=("beyond-relatives-byol",),
        collapse=("complete",),
        nearest="{cite:t}`tian2021` find that a slow target slows training down, in the same L2 model.",
        new=(
            "The closed form of the rate, that no oscillation can occur, and that the basin does not depend on "
            "$\\beta$."
        ),
    ),
    Claim(
        id="beyond-relatives-byol-clock",
        kind="beyond",
        name="BYOL and the clock",
        title="a moving target of fixed rate stops weight decay from being a clock only",
        place="not in the paper",
        statement=_text(r"""
            For any data law, the cosine loss with target $\dot\Phi_a=\beta(\Phi-\Phi_a)$ keeps the norm laws
            $\norm W_F,\norm\Phi_F\propto e^{-\rho t}$. With $s=(e^{2\rho t}-1)/(2\rho)$ and
            $(W,\Phi,\Phi_a)(t)=e^{-\rho t}(\hat W,\hat\Phi,\hat\Phi_a)(s)$, the pair $(\hat W,\hat\Phi)$ follows the
            flow without weight decay, against the target

            $$
            \frac{d\hat\Phi_a}{ds}=\frac{\beta\hat\Phi-(\beta-\rho)\hat\Phi_a}{1+2\rho s}.
            $$

            By the clock the target becomes ever slower. If $\rho<\beta$ it follows, in time $t$, with a memory of
            length $1/(\beta-\rho)$. If $\rho>\beta$, $e^{\beta t}\Phi_a$ converges, and its
            direction stays at a mixture of
            the past.
            """),
        restored="exact",
        chapter="relatives",
        uses=("beyond-norm-law", "beyond-clock"),
        nearest=(
            "The norm law and the clock of scale-invariant networks "
            "{cite:p}`vanlaarhoven2017,li2020reconciling,wan2021`, without a moving target."
        ),
        new="What the target does to the clock, and the border $\\rho=\\beta$.",
    ),
    Claim(
        id="beyond-relatives-byol-terminal",
        kind="beyond",
        name="BYOL: terminal state",
        title="the momentum target does not change who survives",
        place="not in the paper",
        statement=_text(r"""
            At $\rho=0$ and to leading order in $1/h$, the cosine flow of BYOL from a commuting start with $p_j>0$ and
            the target a copy of $\Phi$ ends at the same $\varphi_j=p_j^2$ as SimSiam's ({ref}`beyond-terminal-state`),
            for every $\beta$.
            """),
        restored="exact",
        chapter="relatives",
        uses=("beyond-relatives-byol", "beyond-terminal-state"),
        nearest="{ref}`beyond-terminal-state`, without a moving target.",
        new=(
            "The statement. The equilibria and their stability are derived; that the flow reaches this one is measured."
        ),
    ),
    Claim(
        id="beyond-relatives-directpred",
        kind="beyond",
        name="DirectPred",
        title="a predictor set from the features",
        place="not in the paper",
        statement=_text(r"""
            Let $W=U\operatorname{diag}(w)U^\top$ be set from the correlation $\E[qq^\top]=aF$ of $q=\Phi x$, without
            gradient: $s_j=a\varphi_j$, divided by $\max_is_i$ if normalised, and $w_j=s_j^\alpha+\epsilon\max_is_i$.
            DirectPred has $\alpha=\frac12$, DirectCopy $\alpha=1$. Then
            $\dot p_j=w_jg_j-\rho p_j$ with the force $g_j$ of SimSiam ($r=p$). For every rule $w_j$, to
            leading order in the second case,

            $$
            \frac{\dot p_j}{p_j}=w_j(1-aw_j)-\rho\quad\text{(L2)},\qquad
            \frac{\dot p_j}{p_j}\approx\kappa\,w_j(1-\lambda w_j)-\rho\quad\text{(cosine)},
            $$

            $\kappa=1/(aN_\Phi N_\Psi)$, $\lambda=\sum_kw_k\varphi_k/N_\Psi^2$. With $\epsilon=0$ and no normalisation
            the
            L2 law is $\dot w=2\alpha\{w^2(1-aw)-\rho w\}$: SimSiam's (8) in another time.
            """),
        restored="exact",
        chapter="relatives",
        uses=("beyond-relatives-byol", "eq-8"),
        nearest=(
            "The method and its L2 theory are those of {cite:t}`tian2021` and, for DirectCopy, {cite:t}`wang2021`; "
            "{cite:t}`halvagal2023` treat the cosine loss with such a predictor."
        ),
        new=(
            "That every power gives the same equilibria and the same threshold, at the speed $2\\alpha$; exact "
            "cosine law."
        ),
    ),
    Claim(
        id="beyond-relatives-isoloss",
        kind="beyond",
        name="IsoLoss",
        title="the force without the eigenvalue in front",
        place="not in the paper",
        statement=_text(r"""
            With $W$ set as for DirectPred, $u=Wq$ and target $v$, IsoLoss is
            $\frac12\norm{q-{\rm SG}(v+q-u)}_2^2$ (L2), and
            $-\langle q,{\rm SG}(\frac v{\norm u\norm v})\rangle
            +\frac12{\rm SG}(\frac{\langle u,v\rangle}{\norm u^3\norm v})\norm{W^{1/2}q}_2^2$ (cosine).
            Then $\dot p_j=g_j-\rho p_j$ with the same force (to leading order in the second case):

            $$
            \frac{\dot p_j}{p_j}=1-aw_j-\rho\quad\text{(L2)},\qquad
            \frac{\dot p_j}{p_j}\approx\kappa(1-\lambda w_j)-\rho\quad\text{(cosine)}.
            $$

            Under the L2 loss with $\epsilon=0$, $0$ is unstable for $\rho<1$ and the stable equilibrium is
            $w=(1-\rho)/a$. Under the cosine loss, to leading order, $\frac d{dt}\log N_\Phi=\kappa(1-N_\times^2)-\rho$.
            """),
        restored="exact",
        chapter="relatives",
        uses=("beyond-relatives-directpred",),
        nearest="{cite:t}`halvagal2023` propose the loss so that all modes learn at one rate.",
        new="The exact cosine law, the threshold $\\rho=1$ in place of $1/(4a)$, and the law of the norm.",
    ),
    Claim(
        id="beyond-relatives-variance",
        kind="beyond",
        name="Implicit variance regularisation",
        title="the leading-order law is a sum of differences between modes",
        place="not in the paper",
        statement=_text(r"""
            The leading-order rate of SimSiam under the cosine loss, $k_j=\kappa\varphi_j(1-\lambda w_j)$, is

            $$
            k_j=\frac{\kappa\,\varphi_j}{N_\Psi^2}\sum_kw_k\varphi_k\,(w_k-w_j).
            $$
            """),
        restored="exact",
        chapter="relatives",
        uses=("eq-5",),
        nearest=(
            "{cite:t}`halvagal2023` find sums of differences of this kind for the cosine loss with a predictor that is "
            "set from the features, and call their effect implicit variance regularisation."
        ),
        new="The same sum for a predictor that is trained, as the leading order of the paper's dynamics.",
    ),
    Claim(
        id="beyond-relatives-barlow",
        kind="beyond",
        name="Barlow Twins",
        title="batch normalisation fixes the size of each row",
        place="not in the paper",
        statement=_text(r"""
            Let $C_{ij}=F_{ij}/(a\sqrt{F_{ii}F_{jj}})=R_{ij}/a$ be the cross-correlation of the views and
            $L=\sum_i(1-C_{ii})^2+\lambda\sum_{i\neq j}C_{ij}^2$. Its first sum is the constant $h(1-1/a)^2$. Each row
            of
            $\Phi$ has $e^{-\rho t}$ times its first norm. If all rows have one norm $n$ and $R$ is circulant, both stay
            so, and the eigenvalues $\theta_j$ of $R$ follow

            $$
            \dot\theta_j=\frac{8\lambda}{a^2n^2}\,\theta_j\Big(\frac1h\sum_k\theta_k^2-\theta_j\Big).
            $$

            On raw features, $L=\sum_i(1-F_{ii})^2+\lambda\sum_{i\neq j}F_{ij}^2$: if $F$ is diagonal it stays so, and
            $\dot p_j=4p_j(1-p_j^2)-\rho p_j$.
            """),
        restored="exact",
        chapter="relatives",
        uses=("assumption-2",),
        nearest=(
            "The method is that of {cite:t}`zbontar2021`; {cite:t}`simon2023` solve it on raw features, without weight "
            "decay, where modes are learned one after another."
        ),
        new="The law with batch normalisation, and weight decay in both.",
    ),
    Claim(
        id="beyond-relatives-vicreg",
        kind="beyond",
        name="VICReg",
        title="each mode by itself: the hinge against the views and the decay",
        place="not in the paper",
        statement=_text(r"""
            With weights $m,v,c$ of invariance, variance and covariance, $S_i=\sqrt{aF_{ii}+\epsilon}$ and

            $$
            L=\frac1h\Big\{2m\sigma^2\tr F+v\sum_i\max(0,1-S_i)+2c\,a^2\sum_{i\neq j}F_{ij}^2\Big\},
            $$

            a diagonal $F=\operatorname{diag}(p^2)$ stays diagonal, and while $S_j<1$

            $$
            h\,\dot p_j=p_j\Big(\frac{va}{S_j}-4m\sigma^2-h\rho\Big),\qquad S_j=\sqrt{ap_j^2+\epsilon}.
            $$

            The stable state has $S=\min\{1,\,va/(4m\sigma^2+h\rho)\}$ if this is above $\sqrt\epsilon$, and $p=0$ if
            not.
            """),
        restored="exact",
        chapter="relatives",
        uses=("assumption-2",),
        nearest=("The method is that of {cite:t}`bardes2022`; {cite:t}`garrido2023` relate it to contrastive losses."),
        new="The law of the modes on the Gaussian model, and what weight decay does to it.",
    ),
    Claim(
        id="beyond-relatives-clock",
        kind="beyond",
        name="Relatives and the clock",
        title="where the loss does not see the size, weight decay is a clock",
        place="not in the paper",
        statement=_text(r"""
            If the velocity of the weights is homogeneous of degree $-1$ in them, the flow with weight decay $\rho$ is
            $e^{-\rho t}$ times the flow without, at $s=(e^{2\rho t}-1)/(2\rho)$. This holds for SimSiam, and for
            DirectPred
            and IsoLoss with a normalised predictor, under the cosine loss, and for Barlow Twins with batch
            normalisation.
            No weight decay then causes a collapse of the directions (dimensional collapse). In size, $e^{-\rho t}$
            wins in the end for all of them (complete collapse).
            """),
        restored="exact",
        chapter="relatives",
        uses=(
            "beyond-clock",
            "beyond-relatives-directpred",
            "beyond-relatives-isoloss",
            "beyond-relatives-barlow",
        ),
        collapse=("complete", "dimensional"),
        nearest="Scale-invariant networks {cite:p}`vanlaarhoven2017,li2020reconciling,wan2021`.",
        new=(
            "That the paper's headline carries over to relatives that normalise in another way, and that IsoLoss keeps "
            "the clock although it breaks the norm law."
        ),
    ),
    Claim(
        id="beyond-relatives-thresholds",
        kind="beyond",
        name="Critical weight decay",
        title="how much weight decay each loss bears when it sees the size",
        place="not in the paper",
        statement=_text(r"""
            From a large start, a mode keeps a positive size as $t\to\infty$ for $\rho<\rho_c$ and collapses completely
            for
            $\rho>\rho_c$, where

            $$
            \rho_c=\begin{cases}\frac1{4a}&\text{SimSiam, BYOL, DirectPred (L2),}\\
            1&\text{IsoLoss (L2),}\\
            4&\text{Barlow Twins on raw features,}\\
            (va/\sqrt\epsilon-4m\sigma^2)/h&\text{VICReg.}\end{cases}
            $$

            The losses are those of the other claims; predictors that are set have $\epsilon=0$, any power, and are not
            normalised.
            """),
        restored="exact",
        chapter="relatives",
        uses=(
            "beyond-relatives-byol-equilibria",
            "beyond-relatives-directpred",
            "beyond-relatives-isoloss",
            "beyond-relatives-barlow",
            "beyond-relatives-vicreg",
        ),
        collapse=("complete",),
        nearest="{cite:t}`tian2021` give $1/(4a)$ for the L2 loss.",
        new="The other thresholds. VICReg's grows without bound as $\\epsilon\\to0$.",
    ),
    # ------------------------------------------------------------------------------------- beyond the paper: equilibria
    Claim(
        id="beyond-regime-clock",
        kind="beyond",
        name="Regime clock",
        title="one function of the clock decides the regime for every weight decay",
        place="not in the paper",
        statement=_text(r"""
            Along the flow (3) of the cosine loss from one start, let $g(s)$ be the critical weight decay of
            {ref}`beyond-saddle-node` at the norms of the flow without decay at time $s$. With weight decay $\rho>0$ and
            $s(t)=(e^{2\rho t}-1)/(2\rho)$ the critical value at time $t$ is

            $$
            \rho_c(t)=e^{2\rho t}g(s(t)).
            $$

            So the regime of (7) at time $t$ is Acute if and only if

            $$
            \frac1\rho>f(s(t)),\qquad f(s)=\frac1{g(s)}-2s.
            $$

            If $1/\rho>\max f$ the regime is Acute at all times. If $f(0)<1/\rho<\max f$ it starts as Acute, learning
            takes it into Collapse, and it comes back. If $1/\rho<f(0)$ it starts as Collapse.
            """),
        restored="exact",
        chapter="moving_norms",
        collapse=("complete",),
        uses=("beyond-saddle-node", "beyond-clock"),
        nearest="Section 5.2 of {cite:t}`bao2023`: the regime at frozen norms, and that shrinking norms change it.",
        new="How the regime moves when the norms move by themselves, for all weight decays at once.",
    ),
    Claim(
        id="beyond-passing-time",
        kind="beyond",
        name="Passing time",
        title="when the flow passes from Collapse to Acute",
        place="not in the paper",
        statement=_text(r"""
            Let $\rho>0$, and let $\rho_{\min}$ be the critical weight decay of (7) at $N_\times=1$,
            $N_\Phi=\norm{\Phi(0)}_F$ and $N_\Psi=\norm{W(0)}_F\norm{\Phi(0)}_F$. Along the flow (3) of the cosine loss
            the regime is Acute at all times

            $$
            t\ge\frac1{2\rho}\ln\frac\rho{\rho_{\min}},\qquad\text{and not Acute before}\qquad
            t_c=\frac1{2\rho}\ln\frac\rho{\rho_c(0)}
            $$

            if $\rho>\rho_c(0)$ and $g(s)\le g(0)$ up to then ({ref}`beyond-regime-clock`). A state of equal modes
            attains the second bound, a single mode both. So whatever $\rho>0$, every start ends in the Acute regime.
            """),
        restored="exact",
        chapter="moving_norms",
        collapse=("complete",),
        uses=("beyond-regime-clock", "beyond-norm-law"),
        nearest=(
            "Section 5.2 of {cite:t}`bao2023` argues that shrinking norms lead from Collapse to Acute, without a time."
        ),
        new="A proof that it always happens, and two sharp bounds on when.",
    ),
    Claim(
        id="beyond-parabola-share",
        kind="beyond",
        name="Offset share",
        title="no mode comes nearer to the parabola than its share allows",
        place="not in the paper",
        statement=_text(r"""
            Along the exact flow (3) of the cosine loss from a commuting state, for every $\rho\ge0$,

            $$
            \frac{\varphi_j(t)-w_j(t)^2}{\norm{\Phi(t)}_F^2}=\gamma_j:=\frac{\varphi_j(0)-w_j(0)^2}{\norm{\Phi(0)}_F^2}.
            $$

            Hence, with the share $b_j=\varphi_j/\norm{\Phi}_F^2$,

            $$
            \frac{w_j^2}{\varphi_j}=1-\frac{\gamma_j}{b_j}.
            $$

            A mode is near the parabola exactly when its share $b_j$ of $\norm\Phi_F^2$ has outgrown $|\gamma_j|$. In
            relative terms the parabola does not attract, and $\rho$ has no influence on how near a mode comes.
            """),
        restored="exact",
        chapter="parabola",
        uses=("eq-6", "beyond-norm-law", "beyond-balance"),
        nearest=(
            "Eq. 6 of {cite:t}`bao2023`; {cite:t}`tian2021` use the same parabola for the L2 loss, under which the "
            "offset share is not constant."
        ),
        new="The offset in units of the feature norm is a constant of motion, so the start is not forgotten.",
    ),
    Claim(
        id="beyond-two-numbers",
        kind="beyond",
        name="Two numbers",
        title="five parameters of Eq. 7 act through two numbers",
        place="not in the paper",
        statement=_text(r"""
            With $w=\sqrt{N_\Psi}\,y$, $\theta=N_\times N_\Phi/\sqrt{N_\Psi}$ and
            $r=\rho(1+\sigma^2)N_\Phi\sqrt{N_\Psi}$, (7) reads

            $$
            \frac{\dot w}{w}=\frac{1}{(1+\sigma^2)N_\Phi\sqrt{N_\Psi}}\big(-2y^5-\theta y^2+y-r\big).
            $$

            So number, order and stability of the equilibria depend on $(\theta,r)$ alone. Multiplying $\Phi$ and $W$ by
            $c$ leaves $\theta$ as it is and multiplies $r$ by $c^2$.
            """),
        restored="exact",
        chapter="cosine_dynamics",
        uses=("eq-7",),
        nearest=(
            "Eq. 7 of {cite:t}`bao2023`; making an equation dimensionless is textbook practice {cite:p}`strogatz2015`."
        ),
        new="The two numbers, and that the size of the weights moves one of them only.",
    ),
    Claim(
        id="beyond-discriminant",
        kind="beyond",
        name="Discriminant curve",
        title="the boundary of the regimes as one polynomial",
        place="not in the paper",
        statement=_text(r"""
            For $r>0$, (7) is in the Acute regime, on the fold or in the Collapse regime as

            $$
            D(\theta,r)=12500\,r^4-4500\,r^2\theta^2+108\,r\,\theta^5+3200\,r\,\theta-27\,\theta^4-512
            $$

            is negative, zero or positive, with one exception: $D$ vanishes too at the single point
            $\theta=\frac54n^3$, $r=\frac9{32}n^5$ with $n^4=\frac{32}{15}$, deep in the Collapse regime, where two
            complex pairs of roots coincide. No rational parameters of (7) lie on it. The fold is
            $r_c(\theta)\sim\frac1{4\theta}$ as $\theta\to\infty$ and $r_c(\theta)\sim3(-\theta/5)^{5/3}$ as
            $\theta\to-\infty$.
            """),
        restored="exact",
        chapter="regimes",
        collapse=("complete",),
        uses=("beyond-two-numbers", "beyond-saddle-node"),
        nearest=(
            "{cite:t}`bao2023` finds the border on plots (Appendix C); that multiple roots are zeros of a discriminant "
            "is classical."
        ),
        new="The polynomial, which decides the regime without finding a root, its ends and its isolated zero.",
    ),
    Claim(
        id="beyond-fold-law",
        kind="beyond",
        name="Fold",
        title="the saddle-node is never degenerate",
        place="not in the paper",
        statement=_text(r"""
            At the double root $w_*>0$ of (7), with $\kappa=1/((1+\sigma^2)N_\Phi N_\Psi)$,

            $$
            \frac{\partial^2\dot w}{\partial w^2}=-\kappa\Big(1+\frac{30w_*^4}{N_\Psi^2}\Big)<0,\qquad
            \frac{\partial\dot w}{\partial\rho}=-w_*\ne0,
            $$

            so that just below $\rho_c$ the two equilibria lie at

            $$
            w_*\pm\sqrt{\frac{2w_*(\rho_c-\rho)}{\kappa(1+30w_*^4/N_\Psi^2)}}\,.
            $$
            """),
        restored="exact",
        chapter="regimes",
        uses=("beyond-saddle-node",),
        nearest="The normal form of a saddle-node is textbook material {cite:p}`strogatz2015`.",
        new="Its coefficients for (7), and that they vanish nowhere on the curve.",
    ),
    Claim(
        id="beyond-bath",
        kind="beyond",
        name="Mode in a bath",
        title="one mode among infinitely many others, exactly",
        place="not in the paper",
        statement=_text(r"""
            Let infinitely many modes of vanishing share have the norms $N_\Phi,N_\Psi$ and the overlap $N_\times$, and
            add one mode $(w,\varphi)$ with $\varphi=w^2$. With $a=1+\sigma^2$ and $x,x'$ normal of variance $a$ and
            covariance 1, its exact velocity is

            $$
            w\,\dot w=\E\left[\frac{w^3xx'}{UV}
            -\frac{(N_\times N_\Phi N_\Psi+w^3xx')\,w^4x^2}{U^3V}\right]-\rho\,w^2,
            $$

            with $U^2=aN_\Psi^2+w^4x^2$ and $V^2=aN_\Phi^2+w^2x'^2$. Among $k$ others of like size the velocity
            differs from this limit by $O(1/k)$.
            """),
        restored="exact",
        chapter="regimes",
        uses=("beyond-exact-moments", "lemma-4"),
        nearest="Eq. 7 of {cite:t}`bao2023`, which holds the norms fixed and takes the share of the mode to be small.",
        new="The share of the mode itself, in the norms and in the moments, without approximation.",
    ),
    Claim(
        id="beyond-bath-folds",
        kind="beyond",
        name="Real branches",
        title="which branches of Eq. 7 an exact mode keeps",
        place="not in the paper",
        statement=_text(r"""
            Let $N_\Phi=N_\Psi=1$ for the bath and $\sigma^2=1$. For every $N_\times$ the exact mode has two positive
            equilibria below a fold and none above it. Its fold lies lower than that of the same closure with the mode
            counted in the norms, which lies lower than that of (7). For $N_\times\ge0$ no negative equilibrium is
            found; for $N_\times<0$ and small $\rho$ there are two, the outer one stable, and none of them runs away.
            """),
        restored="exact",
        chapter="regimes",
        uses=("beyond-bath", "beyond-saddle-node"),
        nearest=(
            "The equilibria of Eq. 7 of {cite:t}`bao2023`, which has one negative equilibrium at every $N_\\times$."
        ),
        new="The exact branches, and how much of the gap comes from the norms and how much from the moments.",
    ),
    # --------------------------------------------------------------------------------------- beyond the paper: training
    Claim(
        id="beyond-asymmetry-order",
        kind="beyond",
        name="Order of the asymmetry",
        title="near symmetry is a matter of h / d and of the noise",
        place="not in the paper",
        statement=_text(r"""
            Train linear SimSiam from the start of Assumption 4 with little gradient noise. The largest relative
            asymmetry of $W$ on the way falls like $(h/d)^{1/2}$. With small batches it does not fall with $h/d$. (The
            number of seeds was raised after a first look.)
            """),
        restored="exact",
        chapter="linear_experiment",
        uses=("assumption-1", "assumption-4", "symmetry-nearly-kept"),
        nearest=(
            "{cite:t}`tian2021` assume that $W$ is symmetric and watch how far it is from that in training."
        ),
        new="The order in $h/d$ of the largest asymmetry on the way, measured, and that noise takes it away.",
    ),
    Claim(
        id="beyond-online-normalisation-is-what-matters",
        kind="beyond",
        name="Which branch",
        title="normalising the online branch makes weight decay a clock",
        place="not in the paper",
        statement=_text(r"""
            Let the loss be $\frac12\E\norm{n(W\Phi x)-m(\mathrm{SG}(\Phi x'))}_2^2$, where $n$ and $m$ divide by the
            norm or do nothing, or where both standardise each coordinate over the batch. Along its gradient flow with
            weight decay $\rho$, for any data and any $W$,

            $$
            \begin{array}{lccc}
            \text{normalised}&\text{norm law}&\text{clock }s(t)&\text{balance}\\
            \text{both}&\text{yes}&(e^{2\rho t}-1)/(2\rho)&\text{yes}\\
            \text{online only}&\text{yes}&(e^{\rho t}-1)/\rho&\text{yes}\\
            \text{batch norm}&\text{yes, each row of }W&(e^{2\rho t}-1)/(2\rho)&\text{yes}\\
            \text{target only}&\text{no}&\text{none}&\text{yes}\\
            \text{neither}&\text{no}&\text{none}&\text{yes}
            \end{array}
            $$

            where the norm law is $\norm W_F,\norm\Phi_F\propto e^{-\rho t}$, the clock means
            $(W,\Phi)(t;\rho)=e^{-\rho t}(W,\Phi)(s(t);0)$, and balance is $W^\top W-\Phi\Phi^\top\propto e^{-2\rho t}$.
            """),
        restored="exact",
        chapter="how_robust",
        uses=("beyond-norm-law", "beyond-clock", "beyond-balance", "eq-1", "eq-2"),
        nearest=(
            "{ref}`beyond-norm-law` and {ref}`beyond-clock` for both branches; for one set of scale-invariant weights "
            "{cite:t}`vanlaarhoven2017`, {cite:t}`li2020reconciling` and {cite:t}`wan2021`."
        ),
        new="Which of the two normalisations is needed, and that online only has a clock of its own.",
    ),
    Claim(
        id="beyond-target-only",
        kind="beyond",
        name="Target only",
        title="rates of equal modes when only the target is normalised",
        place="not in the paper",
        statement=_text(r"""
            Let only the target be normalised, let $a=1+\sigma^2$ and $m_k=\E\norm g_2/k$ for a standard normal
            $g\in\R^k$, about $1/\sqrt k$. Let $k$ modes be equal and on the parabola, $\varphi_j=w_j^2=w^2$, and the
            others dead. Then, for Gaussian data and exactly,

            $$
            \frac{\dot w}{w}=\frac{m_k}{\sqrt a}-aw^2-\rho,\qquad
            \frac{\dot\delta}{\delta}=\frac{2(k+1)}{k+2}\frac{m_k}{\sqrt a}-3aw^2-\rho
            $$

            where $\delta$ is a small difference of two of them. At the size where $\dot w=0$ they part if

            $$
            \rho>\frac{m_k}{2\sqrt a}\,\frac{k+4}{k+2}\,,
            $$

            so that at most about $1/(4a\rho^2)$ modes can be equal. For $\rho\ge\sqrt{2/(\pi a)}$ every mode on the
            parabola shrinks to zero.
            """),
        restored="exact",
        chapter="how_robust",
        uses=("assumption-2", "beyond-online-normalisation-is-what-matters"),
        nearest="{cite:t}`tian2021` for the L2 loss, in which the modes do not see each other.",
        new="The rates, and that weight decay then limits the number of modes, not only their size.",
    ),
    Claim(
        id="beyond-which-collapse",
        kind="beyond",
        name="Causal test",
        title="which normalisation prevents the collapse that weight decay causes",
        place="not in the paper",
        statement=_text(r"""
            SGD from Assumption 4's starts with $h=16$, $d=64$, $\sigma^2=1$, at one step size, batch and time, over at
            least twenty decay times. With both branches normalised, online only, or batch norm there is no complete
            collapse at any $\rho$ tried. With neither there is for $\rho\ge1/(4a)$ and not below. With the target only
            there is for $\rho\ge\sqrt{2/(\pi a)}$ and not below; and there is dimensional collapse before: no more
            modes live than the largest $k$ that {ref}`beyond-target-only` allows.
            """),
        restored="exact",
        chapter="how_robust",
        collapse=("complete", "dimensional"),
        uses=("beyond-online-normalisation-is-what-matters", "beyond-target-only", "eq-8", "no-collapse-any-rho"),
        nearest="{cite:t}`bao2023` compares both branches normalised with neither.",
        new="One branch at a time and batch norm, with the thresholds known beforehand.",
    ),
    Claim(
        id="beyond-any-head",
        kind="beyond",
        name="Any head",
        title="norm law and balance for other heads and any data",
        place="not in the paper",
        statement=_text(r"""
            Let the head have layers $A_1$ (next to $\Phi$), $A_2,\dots$, linear or with a ReLU between them, without
            biases. Under the cosine loss, for any data law, $\langle\nabla_{A_i}L,A_i\rangle=\langle\nabla_\Phi L,\Phi
            \rangle=0$: each layer obeys the norm law by itself. And

            $$
            A_1^\top A_1-\Phi\Phi^\top\propto e^{-2\rho t},\qquad A_{i+1}^\top A_{i+1}-A_iA_i^\top\propto e^{-2\rho t},
            $$

            the latter on the diagonal only if a ReLU stands between the two layers, the former on the diagonal only if
            $A_1$ is a diagonal matrix by construction. If $W$ is made symmetric after each step, the norm law stays and
            the balance law is lost.
            """),
        restored="exact",
        chapter="how_robust",
        uses=("beyond-norm-law", "beyond-balance"),
        nearest="{cite:t}`du2018` for the balance of ReLU and linear layers under losses without normalisation.",
        new="Both laws together for the heads of SimSiam, and which of them Assumption 1 costs.",
    ),
    Claim(
        id="beyond-anisotropic",
        kind="beyond",
        name="Anisotropic inputs",
        title="where aligned modes end if inputs are not isotropic",
        place="not in the paper",
        statement=_text(r"""
            Let coordinate $j$ of the anchor have variance $s_j$ and its noise variance $n_j$, and let the start be
            aligned with the coordinates, so that modes $(w_j,\varphi_j)$ exist. The leading-order flow at $\rho=0$ ends
            at

            $$
            \begin{aligned}
            w_j&=\mu\,\eta_j,&\varphi_j&=\big(\mu^2\eta_j^2+c_j\big)_+,\\
            \eta_j&=\frac{s_j}{s_j+n_j},&c_j&=\varphi_j(0)-w_j(0)^2,
            \end{aligned}
            $$

            where $\sum_j\varphi_j=\norm{\Phi(0)}_F^2$ fixes $\mu$; modes with $w_j(0)<0$ and $c_j\le0$ die. So if the
            noise has the shape of the inputs, $n_j\propto s_j$, the spectrum of $\Phi\Phi^\top$ ends as for isotropic
            inputs, whatever the $s_j$.
            """),
        restored="exact",
        chapter="how_robust",
        uses=("beyond-terminal-state", "beyond-balance", "beyond-norm-law"),
        nearest="{ref}`beyond-terminal-state`, which is the case $s_j=1$, $n_j=\\sigma^2$.",
        new="The factor $\\eta_j$, and that it is the shape of the noise against that of the inputs that counts.",
    ),
    Claim(
        id="beyond-rule-error",
        kind="beyond",
        name="Error of the rule",
        title="the terminal spectrum is off by the square of the commutator",
        place="not in the paper",
        statement=_text(r"""
            Let $F(0)=I+\epsilon G$ with symmetric $G$ and let $W(0)$ be symmetric. As $\epsilon\to0$ the spectrum of
            {ref}`beyond-terminal-matrix` differs from the end of the leading-order flow by order $\epsilon^2$.
            Under Assumption 4 $\epsilon$ is of order $\sqrt{h/d}$, so that this error is of order $h/d$.
            """),
        restored="exact",
        chapter="how_robust",
        uses=("beyond-terminal-matrix", "beyond-commutator-start"),
        nearest="Second-order perturbation of eigenvalues; {ref}`beyond-terminal-matrix` measured the error only.",
        new="Its order.",
    ),
    Claim(
        id="beyond-robust-spectrum",
        kind="beyond",
        name="Robust spectrum",
        title="the predicted spectrum beside two null rules, one assumption broken at a time",
        place="not in the paper",
        statement=_text(r"""
            SGD without weight decay, $h=16$, $d=64$, $\sigma^2=1$. In each of the groups of the table (Assumption 1;
            the law of the inputs; the start; the head; the normalisation) the rule of {ref}`beyond-terminal-matrix` is
            on average nearer to the final spectrum of $F$ over its trace than the spectrum of the start and than equal
            eigenvalues. Over all of them together it is nearer than with its offsets from $\bar w^2$ left out, halved
            or half as large again.
            """),
        restored="exact",
        chapter="how_robust",
        uses=("beyond-terminal-matrix", "beyond-any-head", "beyond-anisotropic"),
        nearest="{cite:t}`bao2023` compares one run with its theory, at the assumed model (Section 5.4).",
        new="The price of each assumption, beside null rules.",
    ),
    Claim(
        id="beyond-pythagoras",
        kind="beyond",
        name="Pythagoras",
        title="what one step of SGD does to the norms",
        place="not in the paper",
        statement=_text(r"""
            Let SGD on the cosine loss have rate $\eta$, momentum $\mu$ and weight decay $\rho$, and write
            $V\to V'=\mu V+g+\rho W$ for its buffer and $W\to W'=W-\eta V'$ for its step, with $g$ the gradient on the
            batch. Then, with
            $\beta=\mu\langle W,V\rangle+\rho\norm{W}_F^2$,

            $$
            \begin{aligned}
            \norm{V'}_F^2&=\mu^2\norm{V}_F^2+\norm{g}_F^2+\rho^2\norm{W}_F^2+2\mu\langle V,g\rangle
            +2\mu\rho\langle W,V\rangle,\\
            \norm{W'}_F^2&=\norm{W}_F^2-2\eta\beta+\eta^2\norm{V'}_F^2,\\
            \langle W',V'\rangle&=\beta-\eta\norm{V'}_F^2,
            \end{aligned}
            $$

            and the same for $\Phi$. Without momentum $\norm{W'}_F^2=(1-\eta\rho)^2\norm{W}_F^2+\eta^2\norm{g}_F^2$.
            """),
        restored="exact",
        chapter="discrete_steps",
        uses=("eq-2",),
        nearest=(
            "{cite:t}`vanlaarhoven2017`, {cite:t}`li2020reconciling` and {cite:t}`wan2021` have the case without "
            "momentum, and approximations with it, for one scale-invariant weight vector."
        ),
        new="The exact recursion with momentum, in three numbers a layer, for both layers of this model.",
    ),
    Claim(
        id="beyond-norm-balance",
        kind="beyond",
        name="Balance of the norms",
        title="an exact identity of every stationary state of SGD",
        place="not in the paper",
        statement=_text(r"""
            In a stationary state of SGD on the cosine loss at constant $\eta$, $\mu$ and $\rho$,

            $$
            \frac{2\rho(1-\mu)}{\eta}\Big(1-\frac{\eta\rho}{2(1+\mu)}\Big)\,\E\norm{W}_F^2
            =\E\norm{g_W}_F^2+2\mu\,\E\langle V_W,g_W\rangle,
            $$

            and the same for $\Phi$. The time averages over any run of $K$ steps satisfy it up to known terms of order
            $1/K$.
            """),
        restored="exact",
        chapter="discrete_steps",
        uses=("beyond-pythagoras",),
        nearest=(
            "{cite:t}`wan2021` balance norm growth against weight decay for SGD with momentum, without the overlap of "
            "buffer and gradient."
        ),
        new="The exact identity; the overlap is what the usual formula misses at large momentum.",
    ),
    Claim(
        id="beyond-gradient-noise",
        kind="beyond",
        name="Noise of equal modes",
        title="the second moments of the batch gradient, in closed form",
        place="not in the paper",
        statement=_text(r"""
            Let $k>2$ modes share one eigenvalue of $W$ and one of $F$, and let the others be dead. Then the mean
            gradient of the cosine loss is zero, and the symmetrised loss on $B$ pairs of views has, with
            $z=(1+\sigma^2)^{-2}$,

            $$
            \begin{aligned}
            \norm{W}_F^2\,\E\norm{g_W}_F^2&=\frac k{2B}\,m,\qquad
            \norm{\Phi}_F^2\,\E\norm{g_\Phi}_F^2=\frac k{2B}\{m+(d-k)\,n\},\\
            m&=\frac{k^2-1}{k(k+2)}(1-z)^2\,{}_2F_1\big(2,2;\tfrac k2+2;z\big),\\
            n&=\frac{(k-1)(1-z)}k\Big\{\frac{{}_2F_1(1,2;\frac k2+1;z)}{k-2}
            -\frac{z\;{}_2F_1(2,2;\frac k2+2;z)}{k+2}\Big\}.
            \end{aligned}
            $$

            For large $k$, $m\to(1-z)^2$ and $kn\to(1-z)^2$, so that the second over the first tends to $d/k$.
            """),
        restored="exact",
        chapter="discrete_steps",
        uses=("eq-2", "assumption-2"),
        nearest="The moments of the sample correlation of Gaussian vectors, a classical subject.",
        new="The noise of both layers of this model, at any number of modes.",
    ),
    Claim(
        id="beyond-common-eigenvalue",
        kind="beyond",
        name="The common eigenvalue",
        title="what the comparison with Eq. 7 can find out about equal survivors",
        place="not in the paper",
        statement=_text(r"""
            If all modes with $\varphi_j\neq0$ share one $w_j=\bar w>0$, then $\bar w=N_\Psi^2/\tr(WF)$, whatever the
            dynamics. For any norms with $N_\times>0$, the larger positive equilibrium of (7), where there is one, is
            $x\,N_\Psi^2/\tr(WF)$ with the larger positive root of

            $$
            x(1-x)=R+\frac{2x^5}{\theta^4},\qquad R=\rho(1+\sigma^2)N_\times N_\Phi^2,\quad
            \theta=\frac{N_\times N_\Phi}{N_\Psi^{1/2}}.
            $$

            So $x<1$, and there is none if $R\ge1/4$. The common eigenvalue lies in the basin of the stable equilibrium
            whenever that exists.
            """),
        restored="exact",
        chapter="discrete_steps",
        uses=("eq-7",),
        nearest="The comparison of Figures 6 and 9 of {cite:t}`bao2023`.",
        new="What that comparison can and cannot refute.",
    ),
    Claim(
        id="beyond-annealed-norms",
        kind="beyond",
        name="Annealed norms",
        title="where a falling step size leaves the norms",
        place="not in the paper",
        statement=_text(r"""
            Let the rate of SGD on the cosine loss fall slowly from $\eta$ to zero, without momentum, and let equal
            modes be alive. By the time $t$, the sum of the rates, $n=\norm{W}_F^4$ follows
            $dn/dt=-4\rho\,n+2\eta(t)\gamma_W^2$, and the same for $\Phi$. After cosine annealing over $K$ steps both
            fourth powers fall like $K^{-2/3}$: they are the stationary ones of the constant rate

            $$
            \eta_{\rm end}=\eta\,\frac{\pi^2}4\,\Gamma\Big(\frac53\Big)\Big(\frac3{\pi^2\eta\rho K}\Big)^{2/3}.
            $$
            """),
        restored="exact",
        chapter="discrete_steps",
        uses=("beyond-noise-equilibrium",),
        nearest="{cite:t}`wan2021` treat schedules that fall in stages, for one scale-invariant weight vector.",
        new="The exponent and the constant of cosine annealing, which does not let the norms go to zero.",
    ),
    Claim(
        id="beyond-noise-map",
        kind="beyond",
        name="Eq. 7 in noise",
        title="strong noise takes the equilibrium of Eq. 7 away, not the modes",
        place="not in the paper",
        statement=_text(r"""
            Train with momentum from starts of Assumption 4 until the norms are stationary, and let $k$ be the effective
            rank of $F$ then. At weak noise the number $R$ of the common eigenvalue is

            $$
            R\approx(1+\sigma^2)\sqrt{\frac{\eta\rho\,\gamma_\Phi^2}{2(1-\mu)}}
            $$

            with the noise $\gamma_\Phi^2$ of $k$ equal modes. Where this is above $1/4$, (7) has no positive
            equilibrium at the norms of the run, and yet several modes live. Where it is below, (7) has one. (The
            criterion of the check was written after an earlier one had failed on these runs.)
            """),
        restored="exact",
        chapter="discrete_steps",
        uses=("eq-7", "beyond-common-eigenvalue", "beyond-noise-equilibrium"),
        nearest="The comparison of Figures 6 and 9 of {cite:t}`bao2023`, at one level of noise.",
        new="The comparison over the level of noise, and where it ends.",
    ),
    Claim(
        id="beyond-early-eigenvalue",
        kind="beyond",
        name="Before alignment",
        title="the leading eigenvalue of SGD follows the exact flow",
        place="not in the paper",
        statement=_text(r"""
            From a start of Assumption 4, the mean over runs of SGD of the largest eigenvalue of $(W+W^\top)/2$ at time
            $t$ tends to that of the exact flow as $\eta\to0$, from the start through the alignment of the modes. The
            distance is of order $\eta$. Neither (7) with the norms of the start nor the leading order in $1/h$ has this
            limit.
            """),
        restored="exact",
        chapter="discrete_steps",
        uses=("eq-7", "beyond-exact-moments", "beyond-clock"),
        nearest="Figure 6 of {cite:t}`bao2023` compares the end of a run with the intervals of (7).",
        new="A prediction of the whole path without a measured input.",
    ),
    Claim(
        id="beyond-below-root",
        kind="beyond",
        name="Below the negative root",
        title="a mode below the negative equilibrium of Eq. 7 rises",
        place="not in the paper",
        statement=_text(r"""
            Let a start commute and lie on the parabola, with one mode below $w_\blacktriangledown^{(-)}$, the negative
            equilibrium of (7) at the norms of the start. With these norms frozen, (7) takes the mode to $-\infty$ in a
            finite time. In SGD the mode rises instead: as $\eta\to0$ its mean tends to the path of the exact flow,
            which goes up towards zero.
            """),
        restored="exact",
        chapter="discrete_steps",
        uses=("eq-7", "initial-above-root", "beyond-exact-moments"),
        nearest="{cite:t}`bao2023` finds starts below this root rare under Assumption 4, and leaves them aside.",
        new="What happens to them.",
    ),
    Claim(
        id="beyond-sgd-survivors",
        kind="beyond",
        name="Survivors of SGD",
        title="at small noise the flow's rule says who survives SGD",
        place="not in the paper",
        statement=_text(r"""
            From random commuting starts, SGD with small noise ends with shares $\varphi_j/\tr F$ near those of the
            terminal state that the rule for the flow predicts from the start. The rule, with its treatment of negative
            eigenvalues, is nearer than itself without that, than half the offset or its opposite, than the shares of
            the start, and than equal shares of all or of the positive modes.
            """),
        restored="exact",
        chapter="discrete_steps",
        uses=("beyond-terminal-state",),
        nearest="The survivors that Figures 8 and 9 of {cite:t}`bao2023` show.",
        new="Which modes they are, predicted from the start and tested in SGD.",
    ),
    Claim(
        id="beyond-pair-gradient",
        kind="beyond",
        name="Gradient of a pair",
        title="what one pair of views does to an aligned head",
        place="not in the paper",
        statement=_text(r"""
            Let $W=\bar wI$, and let $z,z'$ be the directions of $\Phi x$ and $\Phi x'$, with cosine $c$. The gradient
            of the symmetrised cosine loss on this one pair is

            $$
            \nabla_W=-\frac{1-c^2}{2\bar w}\,\big(pp^\top-qq^\top\big),\qquad
            p=\frac{z+z'}{\norm{z+z'}_2},\quad q=\frac{z-z'}{\norm{z-z'}_2}.
            $$
            """),
        restored="exact",
        chapter="how_many_survive",
        uses=("eq-2",),
        nearest=(
            "{cite:t}`wan2021` need one number of the gradient, its mean square, for the equilibrium of the norm; the "
            "gradient itself is elementary."
        ),
        new="The whole matrix: augmentation changes only its factor, not its shape.",
    ),
    Claim(
        id="beyond-noise-variable",
        kind="beyond",
        name="Noise variable",
        title="one number stands for step size, decay, batch and augmentation",
        place="not in the paper",
        statement=_text(r"""
            Let SGD on the symmetrised cosine loss have a small step size $\eta$, momentum $\mu$, weight decay $\rho$
            and batches of $B$ pairs, and let many modes survive. To leading order, all scale-free quantities of its
            stationary state depend on $\eta,\rho,\mu,B$ and $\sigma^2$ only through

            $$
            X=\frac sB\Big(a-\frac1a\Big)^2,\qquad s=\frac{\eta\rho}{1-\mu},\qquad a=1+\sigma^2.
            $$

            Beside $X$ only $h$ and $d$ are left.
            """),
        restored="exact",
        chapter="how_many_survive",
        uses=("beyond-pair-gradient", "eq-2"),
        nearest=(
            "{cite:t}`li2020reconciling`: scale-invariant networks see the product $\\eta\\rho$ only. "
            "{cite:t}`jastrzebski2017`: SGD sees the ratio $\\eta/B$ only, as long as steps are small."
        ),
        new=(
            "Both together for two layers, and the augmentation noise as well: its effect is a factor of the gradient "
            "noise against a factor of the signal."
        ),
    ),
    Claim(
        id="beyond-noise-rank",
        kind="beyond",
        name="Rank under noise",
        title="a law with three constants for what survives",
        place="not in the paper",
        statement=_text(r"""
            From Assumption 4's starts, with small steps at a constant rate, the effective rank of $F$ in the stationary
            state is approximately

            $$
            r=r_0+\Big(\frac XC+\frac1{\kappa h-r_0}\Big)^{-1}
            $$

            with three numbers $r_0,C,\kappa$ that are the same for all $h$ from $8$ to $64$, all $d$ from $2h$ to
            $16h$, and all $\eta,\rho,B,\sigma^2$: a share $\kappa$ of the modes under weak noise, then $C/X$ modes
            whatever $h$ is, and about two under the strongest noise. Complete collapse does not occur; dimensional
            collapse does.
            """),
        restored="exact",
        chapter="how_many_survive",
        collapse=("complete", "dimensional"),
        uses=("beyond-noise-variable", "assumption-4"),
        nearest=(
            "{cite:t}`jing2022` find dimensional collapse under strong augmentation in contrastive learning, where it "
            "comes from the covariance of the augmentation and not from the noise of steps."
        ),
        new="The law is measured; an argument gives its variable and the power of $X$, not its constants.",
    ),
    # ----------------------------------------------------------------------------------------- beyond the paper: images
    Claim(
        id="beyond-image-relatives-linear",
        kind="beyond",
        name="What the linear theory predicts",
        title="which relatives collapse onto the direction without noise",
        place="not in the paper",
        statement=_text(r"""
            Let coordinate $j$ of the anchor have variance $s_j$ and its noise variance $n_j$, coordinate $1$ have no
            noise, $\rho=0$, and the start be aligned with all $w_j>0$ and $c_j=\varphi_j(0)-w_j(0)^2>0$. To leading
            order, without predictor, with the cosine loss or the L2 loss, only the mode without noise is left in the
            end: $\varphi_j/\tr F\to0$ for all others. The same holds without stop-gradient where that mode starts
            strong enough: with the L2 loss if $\varphi_1(0)>(1-w_1(0))^2$; with the cosine loss the border is not
            known, and the check starts at $w_j\ge0.6$ and $\varphi_j\ge1.2\,w_j^2$. With both, every mode stays, at
            $\varphi_j=\mu^2\eta_j^2+c_j$ with $\eta_j=s_j/(s_j+n_j)$, where $\sum_j\varphi_j=\tr F(0)$ fixes
            $\mu$ for the cosine loss, and $\mu=1$ for the L2 loss if the start is in the basin of that state.
            """),
        restored="exact",
        chapter="image_relatives",
        collapse=("dimensional", "functional"),
        uses=("beyond-anisotropic",),
        nearest="{ref}`beyond-anisotropic`, which has the stop-gradient and the predictor.",
        new="The same model without one of them, where the noise differs between directions.",
    ),
    Claim(
        id="beyond-rank-and-accuracy",
        kind="beyond",
        name="Rank and accuracy",
        title="within the cosine loss they go together, across losses they do not",
        place="not in the paper",
        statement=_text(r"""
            Train a small convolutional net on small images for a few epochs, over weight decays from zero to where
            everything collapses. Within the cosine loss the accuracy of probes rises with the effective rank of the
            final features: the rank correlation over the decays is positive, for nearest neighbours and for a linear
            classifier. Across losses rank does not say who reads better: at the least decay tried of each, the cosine
            loss without stop-gradient has less rank than the L2 loss and more accuracy of nearest neighbours, for every
            seed. (Written after runs had been seen, and not tested on others.)
            """),
        restored="exact",
        chapter="what_is_learned",
        collapse=("functional", "dimensional"),
        uses=("figure-1",),
        nearest=(
            "{cite:t}`li2022collapse` predict the accuracy of SimSiam from its dimensional collapse, and "
            "{cite:t}`garrido2023rankme` rank representations by theirs. The paper leaves the question open."
        ),
        new="The same question over weight decay, with an interval, and a case where rank misleads.",
    ),
    Claim(
        id="beyond-image-relatives-border",
        kind="beyond",
        name="Border without stop-gradient",
        title="when the L2 loss keeps the direction without noise",
        place="not in the paper",
        statement=_text(r"""
            For aligned modes, the L2 loss without stop-gradient and $\rho=0$, the number $\varphi_1-(1-w_1)^2$ of a
            mode without noise is conserved. So this mode stays if and only if

            $$\varphi_1(0)>(1-w_1(0))^2,$$

            at $w_1=1$ and $\varphi_1=\varphi_1(0)-(1-w_1(0))^2$. Every other mode dies, and below the border this one
            as well: collapse is complete there.
            """),
        restored="exact",
        chapter="image_relatives",
        collapse=("complete", "functional"),
        nearest=(
            "{cite:t}`tian2021` show that the L2 loss without stop-gradient collapses the linear model, where every "
            "direction has noise."
        ),
        new="A direction without noise may survive, and the border is exact.",
    ),
)
