"""From alphas to mixing weights: continuous or sampled stand-ins for the discrete choice.

A relaxation is two functions of one decision's alphas [R, K]: how to mix (``draw``) and what the alphas mean
(``distribution``). Adding one is writing them and one line in ``RELAXATIONS``. Nothing here waits for
the device but a draw whose sampled choices run alone, once.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import torch
from torch import Tensor
from torch.nn import functional as F

from nas_reid.errors import ConfigError
from nas_reid.search_space import Decision, Mix

_LOG_FLOOR = 1e-12  # of ``gumbel_log_relu``, as published
_STRETCH = (-0.1, 1.1)  # of ``hard_concrete``, as published: γ and ζ


@dataclass(frozen=True)
class Relaxation:
    """One way to make the choice differentiable.

    Args:
        draw: ``(alphas [R, K], temperature, generator) -> Mix``.
        distribution: ``alphas [R, K] -> probabilities [R, K]``, differentiable and without noise.
        is_hard: the mixing weights are one-hot.
        sampled_only: the supernet runs only the sampled choice; needs ``is_hard``.
        all_gradients: with ``sampled_only``, the others run too where alphas move, so that their gradient is exact.
        noiseless: ``alphas [R, K] -> weights [R, K]`` for evaluation; None: the distribution.
        is_binary: a gate, for decisions between two choices only.
        sums_to_one: the mixing weights of a row are a distribution.
    """

    draw: Callable[[Tensor, float | Tensor, torch.Generator | None], Mix]
    distribution: Callable[[Tensor], Tensor]
    is_hard: bool = False
    sampled_only: bool = False
    all_gradients: bool = False
    noiseless: Callable[[Tensor], Tensor] | None = None
    is_binary: bool = False
    sums_to_one: bool = True

    def __call__(
        self, alphas: Mapping[str, Tensor], *, temperature: float | Tensor, generator: torch.Generator | None
    ) -> dict[str, Mix]:
        """One sample of the mixing weights, shared by every cell that uses the decision.

        Args:
            alphas: decision -> [R, K].
            temperature: > 0; used by the Gumbel family only.
            generator: source of the noise, drawn in one call per decision in sorted order.

        Raises:
            ConfigError: the relaxation is random and ``generator`` is None.
        """
        mixes = {name: self.draw(alphas[name], temperature, generator) for name in sorted(alphas)}
        return self._told(mixes)

    def probabilities(self, alphas: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the alphas say, [R, K] per decision: for deriving (detach it), regularisers and pictures.

        Rows sum to 1, except under ``sigmoid``, whose entries are independent gates.
        """
        return {name: self.distribution(alphas[name]) for name in sorted(alphas)}

    def evaluation_mixes(self, alphas: Mapping[str, Tensor]) -> dict[str, Mix]:
        """Mixing weights without noise or gradient: the most probable choice if hard, else those of ``noiseless``."""
        if not self.is_hard:
            mean = self.noiseless or self.distribution
            return {name: Mix(mean(alphas[name]).detach()) for name in sorted(alphas)}
        probabilities = {name: value.detach() for name, value in self.probabilities(alphas).items()}
        indices = {name: value.argmax(-1) for name, value in probabilities.items()}
        return self._told({name: Mix(_one_hot(index, probabilities[name]), index) for name, index in indices.items()},
                          all_gradients=False)

    def _told(self, mixes: Mapping[str, Mix], *, all_gradients: bool = True) -> dict[str, Mix]:
        """The mixes, told how they are to be run: of those that run alone all choices are read in one wait."""
        chosen: dict[str, Sequence[int]] = {}
        if self.sampled_only:
            indices = {name: mix.index for name, mix in mixes.items() if mix.index is not None}
            numbers = iter(torch.cat(list(indices.values())).tolist())
            chosen = {name: list(islice(numbers, len(index))) for name, index in indices.items()}
        return {name: replace(mix, sampled_only=self.sampled_only, chosen=chosen.get(name),
                              all_gradients=all_gradients and self.all_gradients) for name, mix in mixes.items()}


def get_relaxation(name: str) -> Relaxation:
    """The relaxation of that name, a key of ``RELAXATIONS``.

    Raises:
        ConfigError: unknown name.
    """
    if name not in RELAXATIONS:
        raise ConfigError(f"unknown relaxation {name!r}; choose one of {sorted(RELAXATIONS)}")
    return RELAXATIONS[name]


def require_gates(name: str, decisions: Sequence[Decision]) -> None:
    """Refuse a relaxation by gates where a decision is none.

    Raises:
        ConfigError: unknown name, or a gate and a decision that has not two choices.
    """
    for decision in decisions if get_relaxation(name).is_binary else ():
        if len(decision.choices) != 2:
            raise ConfigError(f"algorithm.relaxation={name} is a gate between two choices, decision {decision.name!r} "
                              f"has {len(decision.choices)}; choose another, such as gumbel")


def gumbel_noise(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Standard Gumbel noise of ``like``'s shape, dtype and device: g = −log(−log u), always finite.

    Raises:
        ConfigError: ``generator`` is None.
    """
    return -(-_log_uniform(like, generator)).log().to(like)


def _log_uniform(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """log u for u uniform in (0, 1), float64 on ``like``'s device.

    In float64, u = 0 is as good as impossible and u is fine enough near 1 for the upper tail of the Gumbel
    noise, which decides the argmax; float32 would cut it off at 16.6.
    """
    generator = _required(generator)
    uniform = torch.rand(like.shape, generator=generator, device=generator.device, dtype=torch.float64)
    return uniform.clamp_min(torch.finfo(torch.float64).tiny).log().to(like.device)


def _required(generator: torch.Generator | None) -> torch.Generator:
    if generator is None:
        raise ConfigError("this relaxation is random and was given no generator; pass a torch.Generator")
    return generator


def _one_hot(index: Tensor, like: Tensor) -> Tensor:
    return torch.zeros_like(like).scatter_(-1, index.unsqueeze(-1), 1.0)


def _softmax(alphas: Tensor) -> Tensor:
    return alphas.softmax(-1)


def _draw_softmax(alphas: Tensor, temperature: float | Tensor, generator: torch.Generator | None) -> Mix:
    """DARTS (Liu et al., 2019), Eq. 2."""
    return Mix(alphas.softmax(-1))


def _draw_gumbel(alphas: Tensor, temperature: float | Tensor, generator: torch.Generator | None) -> Mix:
    """softmax((log softmax(α) + g) / τ): SNAS; OSNet-AIN, Eq. 8. With K = 2 this is the binary Concrete gate."""
    logits = alphas.log_softmax(-1) + gumbel_noise(alphas, generator)
    return Mix((logits / temperature).softmax(-1))


def _draw_gumbel_hard(alphas: Tensor, temperature: float | Tensor, generator: torch.Generator | None) -> Mix:
    """One-hot forward, gradient of the soft sample: GDAS (Dong and Yang, 2019), Eqs. 3-5."""
    soft = _draw_gumbel(alphas, temperature, generator).weights
    index = soft.detach().argmax(-1)
    # The bracket is exactly zero. Summed as (hard + soft) - soft, some ones would be off by rounding.
    return Mix(_one_hot(index, soft.detach()) + (soft - soft.detach()), index)


def _draw_reinmax(alphas: Tensor, temperature: float | Tensor, generator: torch.Generator | None) -> Mix:
    """One-hot sample, whose gradient is Heun's step instead of Euler's: ReinMax (Liu et al., 2023), Algorithm 2.

    With π₀ = softmax(α), the sample D ~ π₀ and π₁ = (D + softmax(α/τ)) / 2, the gradient is that of 2 π₁ - π₀ / 2 with
    π₁ moved by α as a softmax. At τ = 1 its mean over D is exact for a loss that is quadratic in D (Theorem 3.2), while
    straight-through is so for a linear one. A larger τ lowers the variance; the paper advises against τ < 1.
    """
    index = (alphas.detach().log_softmax(-1) + gumbel_noise(alphas, generator)).argmax(-1)
    sample = _one_hot(index, alphas.detach())
    middle = (sample + (alphas.detach() / temperature).softmax(-1)) / 2
    moved = (middle.log() - alphas.detach() + alphas).softmax(-1)
    slope = 2 * moved - alphas.softmax(-1) / 2
    return Mix(sample + (slope - slope.detach()), index)


def _draw_gumbel_log_relu(alphas: Tensor, temperature: float | Tensor, generator: torch.Generator | None) -> Mix:
    """softmax((log(ReLU(α) + 1e-12) + g) / τ): OSNet-AIN's Eq. 8 as published, where the alphas π start from 1.

    An alpha below zero is dead: it gets no gradient any more, but at τ = 10 still 0.06 of a living one's weight.
    """
    logits = (alphas.relu() + _LOG_FLOOR).log() + gumbel_noise(alphas, generator)
    return Mix((logits / temperature).softmax(-1))


def _relu_share(alphas: Tensor) -> Tensor:
    """ReLU(α) / Σ ReLU(α): how often each choice is the argmax of a draw. The floor keeps dead alphas in order."""
    shares = alphas.relu() + _LOG_FLOOR * alphas.softmax(-1)
    return shares / shares.sum(-1, keepdim=True)


def _draw_sigmoid(alphas: Tensor, temperature: float | Tensor, generator: torch.Generator | None) -> Mix:
    """Independent gates: FairDARTS (Chu et al., 2020), Eq. 3."""
    return Mix(alphas.sigmoid())


def _concentration(alphas: Tensor) -> Tensor:
    return (F.elu(alphas) + 1).clamp_min(1e-6)


def _draw_dirichlet(alphas: Tensor, temperature: float | Tensor, generator: torch.Generator | None) -> Mix:
    """w ~ Dir(elu(α) + 1), reparameterised through gamma variables: DrNAS (Chen et al., 2021), §3.2.

    The gammas are kept as logarithms, by G(c) = G(c + 1)·u^(1/c): below c = 0.01 most of them underflow, and a
    row of zeros has no normalisation.
    """
    generator = _required(generator)
    concentration = _concentration(alphas)
    # torch.distributions would draw the same, but takes no generator.
    gammas = torch._standard_gamma((concentration + 1).to(generator.device), generator=generator).to(alphas.device)
    return Mix((gammas.log() + _log_uniform(alphas, generator).to(alphas) / concentration).softmax(-1))


def _dirichlet_mean(alphas: Tensor) -> Tensor:
    concentration = _concentration(alphas)
    return concentration / concentration.sum(-1, keepdim=True)


def _draw_binary_concrete(alphas: Tensor, temperature: float | Tensor, generator: torch.Generator | None) -> Mix:
    """g = sigmoid((a + log u - log(1 - u)) / τ) with a = α_1 - α_0: binary Concrete (Maddison et al., 2017), App. B.

    The distribution of ``gumbel`` with K = 2, from one uniform number per row instead of two.
    """
    return Mix(_pair(((_gate_logit(alphas) + _logistic_noise(alphas[:, 0], generator)) / temperature).sigmoid()))


def _draw_hard_concrete(alphas: Tensor, temperature: float | Tensor, generator: torch.Generator | None) -> Mix:
    """A binary Concrete gate stretched to (γ, ζ) and cut to [0, 1]: Louizos et al., 2018, Eqs. 10-11.

    Exactly 0 or 1 with a probability of its own, and there without gradient. Published is τ = 2/3 throughout.
    """
    soft = _draw_binary_concrete(alphas, temperature, generator).weights[:, 1]
    return Mix(_pair(_stretched(soft)))


def _open_share(alphas: Tensor) -> Tensor:
    """P(g > 0) at the published temperature 2/3: Louizos et al., 2018, Eq. 12, whose sum is the L0 norm."""
    low, high = _STRETCH
    return _pair((_gate_logit(alphas) - 2 / 3 * math.log(-low / high)).sigmoid())


def _hard_concrete_mean(alphas: Tensor) -> Tensor:
    """The gate in evaluation: Louizos et al., 2018, Eq. 13."""
    return _pair(_stretched(_gate_logit(alphas).sigmoid()))


def _gate_logit(alphas: Tensor) -> Tensor:
    return alphas[:, 1] - alphas[:, 0]


def _logistic_noise(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """log u - log(1 - u), always finite: u in float64, next to 1 at 1 - 2^-53."""
    log_uniform = _log_uniform(like, generator)
    return (log_uniform - (-torch.expm1(log_uniform)).clamp_min(2.0**-54).log()).to(like)


def _stretched(gate: Tensor) -> Tensor:
    low, high = _STRETCH
    return (low + (high - low) * gate).clamp(0, 1)


def _pair(gate: Tensor) -> Tensor:
    return torch.stack([1 - gate, gate], -1)


RELAXATIONS: dict[str, Relaxation] = {
    "softmax": Relaxation(_draw_softmax, _softmax),
    "gumbel": Relaxation(_draw_gumbel, _softmax),
    "gumbel_hard": Relaxation(_draw_gumbel_hard, _softmax, is_hard=True),
    "gumbel_sampled": Relaxation(_draw_gumbel_hard, _softmax, is_hard=True, sampled_only=True),
    "gumbel_sampled_exact": Relaxation(_draw_gumbel_hard, _softmax, is_hard=True, sampled_only=True,
                                       all_gradients=True),
    "gumbel_log_relu": Relaxation(_draw_gumbel_log_relu, _relu_share),
    "reinmax": Relaxation(_draw_reinmax, _softmax, is_hard=True),
    "sigmoid": Relaxation(_draw_sigmoid, torch.sigmoid, sums_to_one=False),
    "dirichlet": Relaxation(_draw_dirichlet, _dirichlet_mean),
    "binary_concrete": Relaxation(_draw_binary_concrete, _softmax, is_binary=True),
    "hard_concrete": Relaxation(_draw_hard_concrete, _open_share, noiseless=_hard_concrete_mean, is_binary=True),
}
