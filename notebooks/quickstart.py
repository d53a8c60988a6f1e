# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # rljax quickstart
# Train an agent, look at its curve, evaluate it and watch it play. On a CPU this takes a minute.

# %% [markdown]
# ## Install
# On Colab or Kaggle: upload or clone the project folder next to this notebook first. The JAX that
# is there stays as it is, for replacing it is what breaks such machines most often.

# %%
import importlib.util
import subprocess
import sys
from pathlib import Path

project = next(
    (p for p in [Path.cwd(), *Path.cwd().parents] if (p / "pyproject.toml").is_file()), Path.cwd()
)
if importlib.util.find_spec("rljax") is None:
    frozen = subprocess.run(
        [sys.executable, "-m", "pip", "freeze"], capture_output=True, text=True, check=True
    ).stdout
    pins = [line for line in frozen.splitlines() if line.lower().startswith("jax")]
    Path("pins.txt").write_text("\n".join(pins))
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "-c", "pins.txt", "-e", str(project)],
        check=True,
    )
    sys.path.insert(0, str(project))

# %% tags=["parameters"]
total_steps = 500_000
run_dir = "runs/quickstart"

# %% [markdown]
# ## Train
# A preset is a Python function that returns a config; `merge` changes fields of it. One compiled
# program gathers experience and learns from it, on all devices of this machine.

# %%
import rljax
from rljax.core.config import merge
from rljax.training.presets import preset

config = merge(preset("cartpole_ppo"), {"total_steps": total_steps})
result = rljax.train(config, run_dir, resume="auto")
print(f"{result.summary['steps_per_s']:,.0f} steps/s, status: {result.status}")

# %% [markdown]
# ## The curve

# %%
import matplotlib.pyplot as plt

from rljax.tracking import read_metrics

rows = [row for row in read_metrics(result.run_dir / "metrics.jsonl") if "recent/return" in row]
plt.figure(figsize=(6, 3))
plt.plot([row["env_steps"] for row in rows], [row["recent/return"] for row in rows])
plt.xlabel("environment steps")
plt.ylabel("return")
plt.tight_layout()
plt.show()

# %% [markdown]
# ## Evaluate
# A policy is rebuilt from its run folder alone.

# %%
policy = rljax.load_policy(result.run_dir)
evaluation = result.summary["eval_return"]
print(f"mean return {evaluation['mean']:.1f} over {evaluation['episodes']} episodes")

# %% [markdown]
# ## Watch

# %%
import jax
import numpy as np
from IPython.display import Image, display

import envs_jax
from envs_jax.render import render_episode

env, params = envs_jax.make(config.env.name)
observation, state = env.reset(jax.random.key(0), params)
states, carry, step = [state], None, jax.jit(env.step_env)
for t in range(200):
    action, carry = policy.act(observation[None], carry, reset=np.array([t == 0]))
    observation, state, reward, terminated, _ = step(jax.random.key(t), state, action[0], params)
    states.append(state)
    if terminated:
        break

# %%
import io

from PIL import Image as Picture

frames = [Picture.fromarray(frame) for frame in render_episode(env, params, states[::2])]
movie = io.BytesIO()
frames[0].save(movie, "gif", save_all=True, append_images=frames[1:], duration=40, loop=0)
display(Image(data=movie.getvalue()))
