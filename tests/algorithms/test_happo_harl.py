"""Whole updates beside HARL's own code: HARL=CHECKOUT, and what experiments/harl_peer.py needs."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest

from rljax.training.build import make_algorithm, make_env
from rljax.training.presets import preset
from team_groups import Group

HARL = os.environ.get("HARL", "")
ENVS, LENGTH, UPDATES = 20, 200, 2

pytestmark = pytest.mark.skipif(not HARL, reason="HARL names no checkout of HARL")


def arrays(params: Any, tower: str, head: str) -> dict[str, np.ndarray]:
    """A network's parameters by short names."""
    params = jax.tree.map(np.asarray, params["params"])
    torso = params[tower]
    found = {"norm": torso["LayerNorm_0"], "head": params[head]}
    for i in range(2):
        found[f"dense{i}"] = torso["MLP_0"][f"Dense_{i}"]
        found[f"norm{i}"] = torso["MLP_0"][f"LayerNorm_{i}"]
    flat = {f"{layer}.{name}": x for layer, part in found.items() for name, x in part.items()}
    return flat | ({"std": params["std"]} if "std" in params else {})


def layers(module: Any) -> dict[str, Any]:
    """The tensors of HARL's network by the same names, and whether they are transposed."""
    dense = module.base.mlp.fc
    head = module.v_out if hasattr(module, "v_out") else module.act.action_out
    found = {
        "norm": module.base.feature_norm,
        "head": getattr(head, "fc_mean", getattr(head, "linear", head)),
        "dense0": dense[0],
        "norm0": dense[2],
        "dense1": dense[3],
        "norm1": dense[5],
    }
    tensors = {}
    for layer, part in found.items():
        weight = "scale" if layer.startswith("norm") else "kernel"
        tensors |= {f"{layer}.{weight}": part.weight, f"{layer}.bias": part.bias}
    return tensors | ({"std": head.log_std} if hasattr(head, "log_std") else {})


def of_harl(module: Any) -> dict[str, np.ndarray]:
    return {
        name: tensor.detach().numpy().T if name.endswith("kernel") else tensor.detach().numpy()
        for name, tensor in layers(module).items()
    }


def give(module: Any, values: dict[str, np.ndarray]) -> None:
    import torch

    tensors = layers(module)
    assert set(tensors) == set(values)
    for name, value in values.items():
        tensors[name].data = torch.tensor(value.T.copy() if name.endswith("kernel") else value)


def fill(runner: Any, rollout: Any, last: Any, continuous: bool) -> None:
    """Put a rollout of ours into HARL's buffers, with HARL's own log probabilities of it."""
    steps = jax.tree.map(np.asarray, rollout.transitions)
    seen, whole = steps.observation["observation"], steps.observation["global_state"]
    running = 1.0 - steps.truncated[..., None]
    critic = runner.critic_buffer
    critic.share_obs[:-1], critic.share_obs[-1] = whole, last["global_state"]
    critic.value_preds[:-1] = steps.value[..., None]
    critic.rewards[:] = steps.reward[:, :, :1]
    critic.masks[1:] = critic.bad_masks[1:] = running
    rows, nothing = ENVS * LENGTH, np.zeros((ENVS * LENGTH, 1, 128), np.float32)
    ones = np.ones((rows, 1), np.float32)
    values, _ = runner.critic.get_values(whole.reshape(rows, -1), nothing, ones)
    np.testing.assert_allclose(values.detach().numpy().ravel(), steps.value.ravel(), atol=0.02)
    for i, buffer in enumerate(runner.actor_buffer):
        action = steps.action[:, :, i] if continuous else steps.action[:, :, i, None]
        buffer.obs[:-1], buffer.obs[-1] = seen[:, :, i], last["observation"][:, i]
        buffer.actions[:], buffer.masks[1:] = action, running
        log_probs, _, _ = runner.actor[i].evaluate_actions(
            seen[:, :, i].reshape(rows, -1), nothing, action.reshape(rows, -1), ones, None, ones
        )
        buffer.action_log_probs[:] = log_probs.detach().numpy().reshape(LENGTH, ENVS, -1)
        ours = steps.log_prob[:, :, i]
        np.testing.assert_allclose(buffer.action_log_probs.sum(-1), ours, atol=0.02)


@pytest.mark.parametrize("continuous", [True, False])
def test_updates_are_harls(continuous):
    from experiments.harl_peer import World, make_runner

    name = "spread_continuous_happo" if continuous else "spread_happo"
    config = preset(name)
    config = replace(config, team=replace(config.team, fixed_order=True))
    env, env_params = make_env(config)
    group = Group(make_algorithm(config), None, env, env_params, ENVS, {})  # type: ignore[arg-type]
    runner = make_runner(HARL, World("Spread", continuous, 0), 0, ENVS * LENGTH, fixed_order=True)
    state = group.init(3)

    def each(params: Any) -> list[tuple[Any, dict[str, np.ndarray]]]:
        rows = [jax.tree.map(lambda x, i=i: x[i], params["actor"]) for i in range(3)]
        ours = [arrays(row, "actor", "policy_head") for row in rows]
        theirs = [agent.actor for agent in runner.actor]
        of_critic = arrays(params["critic"], "critic", "value_head")
        return [*zip(theirs, ours, strict=True), (runner.critic.critic, of_critic)]

    for module, values in each(state.params):
        give(module, values)
    for _ in range(UPDATES):
        state, metrics, rollout, _ = group.recorded(state)
        fill(runner, rollout, jax.tree.map(np.asarray, state.actors.observation), continuous)
        runner.prep_rollout()
        runner.compute()
        runner.prep_training()
        actors, critic = runner.train()
        for i, told in enumerate(actors):
            for metric in ("policy_loss", "dist_entropy", "actor_grad_norm"):
                got = float(metrics[f"agent{i}/{metric}"])
                assert got == pytest.approx(float(told[metric]), rel=5e-3, abs=2e-4)
        for metric in ("value_loss", "critic_grad_norm"):
            assert float(metrics[f"critic/{metric}"]) == pytest.approx(
                float(critic[metric]), rel=1e-3
            )
        # Each weight moves by up to 2.5e-3 in an update: five steps of 5e-4, which Adam takes in a
        # direction of its own where a gradient is nothing but rounding.
        for module, values in each(state.params):
            for name, value in of_harl(module).items():
                error = np.abs(value - values[name])
                assert error.mean() < 3e-5 and (error > 2e-4).mean() < 0.01, name
        norm = runner.value_normalizer
        theirs = [float(norm.running_mean), float(norm.running_mean_sq), float(norm.debiasing_term)]
        np.testing.assert_allclose(jax.tree.leaves(state.value_norm), theirs, rtol=1e-3)
