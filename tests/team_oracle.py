"""HAPPO and MAPPO by themselves: NumPy, float64, gradients by hand.

Kuba et al. 2022 (arXiv:2109.11251), algorithm 1, with what HARL (arXiv:2304.09870) adds to it: the
value statistics, the Huber and clipped value loss, advantages of active agents only.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np

from envs_jax.spaces import ACTION_MASK, ACTIVE, GLOBAL_STATE

EPSILON = 1e-3
"""Adam's: large, or it would make much of the last bits of gradients next to zero."""


@dataclass(frozen=True)
class Case:
    """What an update is asked to do."""

    agents: int = 3
    actions: str = "masked"
    rests: bool = False
    sequential: bool = True
    shared: bool = False
    aggregation: str = "prod"
    critic: str = "global"
    reward: str = "mean"
    harl_truncation: bool = False
    epochs: int = 3
    critic_epochs: int = 2
    rate: float = 2e-2
    critic_rate: float = 1e-2
    clip: float = 0.1
    value_clip: float = 0.05
    huber: float = 10.0
    max_norm: float = 10.0
    entropy: float = 0.01
    gamma: float = 0.9
    lam: float = 0.8


# Two layers, forwards and backwards.


def weights(params, tower, head):
    """A network's arrays by short names, float64."""
    params = params["params"]
    first, last = params[tower]["MLP_0"]["Dense_0"], params[head]
    arrays = {"w": first["kernel"], "b": first["bias"], "v": last["kernel"], "c": last["bias"]}
    if "std" in params:
        arrays["std"] = params["std"]
    return {name: np.asarray(x, np.float64) for name, x in arrays.items()}


def forward(p, x):
    hidden = np.tanh(x @ p["w"] + p["b"])
    return hidden, hidden @ p["v"] + p["c"]


def backward(p, x, hidden, output):
    """Gradients of all weights, from those [N, m] of the output."""
    inner = (output @ p["v"].T) * (1 - hidden**2)
    return {
        "w": x.T @ inner,
        "b": inner.sum(0),
        "v": hidden.T @ output,
        "c": output.sum(0),
    }


class Adam:
    def __init__(self):
        self.first, self.second, self.steps = {}, {}, 0

    def step(self, p, gradient, rate, max_norm):
        """New weights, and the norm before it was clipped."""
        norm = np.sqrt(sum((g**2).sum() for g in gradient.values()))
        self.steps += 1
        after = {}
        for name, g in gradient.items():
            g = g * min(1, max_norm / norm)
            m = self.first[name] = 0.9 * self.first.get(name, 0) + 0.1 * g
            v = self.second[name] = 0.999 * self.second.get(name, 0) + 0.001 * g**2
            m, v = m / (1 - 0.9**self.steps), v / (1 - 0.999**self.steps)
            after[name] = p[name] - rate * m / (np.sqrt(v) + EPSILON)
        return after, norm


# A policy: log probabilities by dimension [N, d], entropies [N], and gradients through both.


def policy(p, x, action, mask):
    hidden, output = forward(p, x)
    if "std" in p:
        sigmoid = 1 / (1 + np.exp(-p["std"]))
        std = 0.5 * sigmoid
        z = (action - output) / std
        logp = -0.5 * z**2 - np.log(std) - 0.5 * np.log(2 * np.pi)
        entropy = np.full(len(x), (np.log(std) + 0.5 * np.log(2 * np.pi * np.e)).sum())

        def pull(d_logp, d_entropy):
            gradient = backward(p, x, hidden, d_logp * z / std)
            d_log_std = (d_logp * (z**2 - 1)).sum(0) + d_entropy.sum()
            return gradient | {"std": d_log_std * (1 - sigmoid)}

        return logp, entropy, pull

    logits = np.where(mask, output, -1e10)
    logits = logits - logits.max(-1, keepdims=True)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    chances, chosen = np.exp(logs), np.eye(output.shape[-1])[action]
    entropy = -(chances * logs).sum(-1)

    def pull(d_logp, d_entropy):
        d_logits = d_logp * (chosen - chances)
        d_logits -= d_entropy[:, None] * chances * (logs + entropy[:, None])
        return backward(p, x, hidden, d_logits)

    return (logs * chosen).sum(-1, keepdims=True), entropy, pull


def ratio_of(new, old, aggregation):
    """The ratio of whole actions [N], and its derivative by each log probability [N, d]."""
    each = np.exp(new - old)
    if aggregation == "prod":
        whole = each.prod(-1)
        return whole, np.repeat(whole[:, None], each.shape[-1], 1)
    return each.mean(-1), each / each.shape[-1]


def fit_actor(p, adam, old, data, advantage, factor, weight, case):
    """Epochs of the whole batch; new weights, and means of what was met on the way."""
    seen = []
    for _ in range(case.epochs):
        logp, entropy, pull = policy(p, *data)
        ratio, slope = ratio_of(logp, old, case.aggregation)
        free = ratio * advantage
        held = np.clip(ratio, 1 - case.clip, 1 + case.clip) * advantage
        count = weight.sum()
        d_ratio = -weight * factor * advantage * (free <= held) / count
        gradient = pull(d_ratio[:, None] * slope, -case.entropy * weight / count)
        p, norm = adam.step(p, gradient, case.rate, case.max_norm)
        seen.append(
            {
                "policy_loss": -(weight * factor * np.minimum(free, held)).sum() / count,
                "dist_entropy": (weight * entropy).sum() / count,
                "clip_fraction": (weight * (abs(ratio - 1) > case.clip)).sum() / count,
                "actor_grad_norm": norm,
            }
        )
    return p, {name: np.mean([row[name] for row in seen]) for name in seen[0]}


# The critic.


class Normaliser:
    """HARL's ValueNorm."""

    def __init__(self):
        self.mean, self.square, self.weight = 0.0, 0.0, 0.0

    def update(self, targets):
        self.mean = 0.99999 * self.mean + 1e-5 * targets.mean()
        self.square = 0.99999 * self.square + 1e-5 * (targets**2).mean()
        self.weight = 0.99999 * self.weight + 1e-5

    def statistics(self):
        mean, square = (x / max(self.weight, 1e-5) for x in (self.mean, self.square))
        return mean, np.sqrt(max(square - mean**2, 1e-2))


def huber(error, delta):
    return np.where(abs(error) <= delta, error**2 / 2, delta * (abs(error) - delta / 2))


def fit_critic(p, adam, norm, x, old, returns, case):
    seen = []
    for _ in range(case.critic_epochs):
        norm.update(returns)
        mean, std = norm.statistics()
        target = (returns - mean) / std
        hidden, value = forward(p, x)
        value = value[:, 0]
        near = old + np.clip(value - old, -case.value_clip, case.value_clip)
        free, held = huber(value - target, case.huber), huber(near - target, case.huber)
        clipped = abs(value - old) > case.value_clip
        # Where the held one is the larger, nothing moves it.
        error = np.where(clipped & (held > free), 0, value - target)
        d_value = np.clip(error, -case.huber, case.huber) / len(x)
        gradient = backward(p, x, hidden, d_value[:, None])
        p, size = adam.step(p, gradient, case.critic_rate, case.max_norm)
        bent = (abs(value - target) > case.huber).mean()
        seen.append((np.maximum(free, held).mean(), size, bent, clipped.mean()))
    return p, np.mean(seen, 0)


def estimate(rewards, values, following, terminated, truncated, case):
    """Generalised advantages of [T, B, ...]."""
    result, ahead = np.zeros_like(values), np.zeros_like(values[0])
    for t in reversed(range(len(rewards))):
        delta = rewards[t] + case.gamma * np.where(terminated[t], 0, following[t]) - values[t]
        ended = terminated[t] | truncated[t]
        ahead = delta + np.where(ended, 0, case.gamma * case.lam * ahead)
        if case.harl_truncation:
            ahead = np.where(truncated[t] & ~terminated[t], 0, ahead)
        result[t] = ahead
    return result


class Reference:
    """The algorithm: what it remembers between updates, and an update."""

    def __init__(self, case):
        self.case, self.norm = case, Normaliser()
        self.adams = [Adam() for _ in range(1 if case.shared else case.agents)]
        self.critic_adam = Adam()

    def by_agent(self, x):
        """[T, B, n, ...] -> [n, T * B, ...]."""
        return np.moveaxis(x, 2, 0).reshape(self.case.agents, -1, *x.shape[3:])

    def targets(self, steps, last_value):
        """Advantages and returns [T, B] or [T, B, n], in units of the reward."""
        case, rewards = self.case, steps.reward.astype(np.float64)
        mean, std = self.norm.statistics()
        values, last, final = (
            np.asarray(x, np.float64) * std + mean
            for x in (steps.value, last_value, steps.final_value)
        )
        if case.reward != "per_agent":
            team = {"mean": rewards.mean(-1), "sum": rewards.sum(-1), "agent0": rewards[..., 0]}
            rewards = team[case.reward]
            if values.ndim == 3:
                rewards = np.repeat(rewards[..., None], case.agents, -1)
        ends = [steps.terminated, steps.truncated]
        if values.ndim == 3:
            ends = [np.repeat(x[..., None], case.agents, -1) for x in ends]
        following = np.where(ends[1], final, np.concatenate([values[1:], last[None]]))
        advantage = estimate(rewards, values, following, *ends, case)
        return advantage, advantage + values

    def update(self, params, rollout, order):
        case, steps = self.case, rollout.transitions
        advantage, returns = self.targets(steps, rollout.last_value)
        seen = steps.observation
        n = case.agents
        observation = self.by_agent(seen["observation"].astype(np.float64))
        action = self.by_agent(steps.action)
        masks = self.by_agent(seen[ACTION_MASK]) if ACTION_MASK in seen else [None] * n
        weight = np.ones(observation.shape[:2])
        if ACTIVE in seen:
            weight = self.by_agent(seen[ACTIVE]).astype(float)
        apart = advantage.ndim == 2
        spread = np.repeat(advantage[..., None], n, -1) if apart else advantage
        spread = self.by_agent(spread)
        if apart and not (case.shared and not case.sequential):
            spread = np.stack([standard(a, w) for a, w in zip(spread, weight, strict=True)])
        else:
            spread = standard(spread, weight)

        rows = 1 if case.shared else n
        actors = [
            weights(jax.tree.map(lambda x, i=i: x[i], params["actor"]), "actor", "policy_head")
            for i in range(rows)
        ]
        data = list(zip(observation, action, masks, strict=True))
        at_rollout = [policy(actors[i % rows], *data[i])[0] for i in range(n)]
        self.log_probs = np.stack([x.sum(-1) for x in at_rollout])
        metrics = {}
        if case.shared and not case.sequential:
            whole = [np.concatenate(x) for x in (observation, action, masks)]
            rest = (spread.ravel(), 1.0, weight.ravel(), case)
            old = np.concatenate(at_rollout)
            actors[0], metrics["actor"] = fit_actor(actors[0], self.adams[0], old, whole, *rest)
        else:
            factor = np.ones(weight.shape[1])
            for i in order:
                row = i % rows
                before = policy(actors[row], *data[i])[0]
                actors[row], metrics[f"agent{i}"] = fit_actor(
                    actors[row],
                    self.adams[row],
                    at_rollout[i],
                    data[i],
                    spread[i],
                    factor,
                    weight[i],
                    case,
                )
                if case.sequential:
                    after = policy(actors[row], *data[i])[0]
                    ratio = ratio_of(after, before, case.aggregation)[0]
                    factor = factor * np.where(weight[i] > 0, ratio, 1.0)
            self.factor = factor

        flat = [np.asarray(x, np.float64) for x in (steps.value, returns)]
        state = seen[GLOBAL_STATE].astype(np.float64)
        if case.critic == "global":
            inputs = state.reshape(-1, state.shape[-1])
            flat = [x.ravel() for x in flat]
        else:
            inputs = observation
            if case.critic == "both":
                every = np.repeat(state[:, :, None], n, 2)
                inputs = np.concatenate([self.by_agent(every), observation], -1)
            inputs = inputs.reshape(-1, inputs.shape[-1])
            flat = [self.by_agent(x).ravel() for x in flat]
        critic = weights(params["critic"], "critic", "value_head")
        self.value_error = np.abs(forward(critic, inputs)[1][:, 0] - flat[0]).max()
        critic, critic_metrics = fit_critic(
            critic, self.critic_adam, self.norm, inputs, *flat, case
        )
        return actors, critic, metrics, critic_metrics


def standard(x, weight):
    mean = (weight * x).sum() / weight.sum()
    variance = (weight * (x - mean) ** 2).sum() / weight.sum()
    return (x - mean) / np.sqrt(variance)
