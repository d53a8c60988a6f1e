"""Our robots as MuJoCo models, and what MuJoCo makes of them: the reference of the dynamics tests.

``PYTHONPATH=. python tests/mujoco_robot.py`` writes ``tests/data/quadruped_mujoco.npz`` anew (needs
the extra ``mujoco``); the default tests read that file and need no MuJoCo.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from envs_jax.quadruped.engine import Body
from envs_jax.quadruped.heights import HeightMap
from envs_jax.quadruped.mjcf import body_of, model_of, place
from envs_jax.quadruped.robot import ROBOTS, Robot, make_robot

REFERENCE = Path(__file__).parent / "data" / "quadruped_mujoco.npz"
STATES = 48  # of the reference, as many of each robot
FLIGHT_TIME = 0.2  # s


def free(robot: Robot) -> Robot:
    """The robot without motors, joint friction, joint damping and limits."""
    none = np.zeros(3, np.float32)
    wide = np.full((4, 3), 100.0, np.float32)
    return robot.replace(
        stiffness=none,
        damping=none,
        joint_damping=none,
        joint_friction=none,
        lower=-wide,
        upper=wide,
    )


def random_bodies(count: int, seed: int, fast: float = 2.0) -> Body:
    """Robots in the air in all orientations; float32 ``[count, ...]``, speeds about `fast`."""
    rng = np.random.default_rng(seed)
    quaternion = rng.normal(size=(count, 4))
    quaternion /= np.linalg.norm(quaternion, axis=-1, keepdims=True)
    body = Body(
        position=np.array([0.0, 0.0, 10.0]) + rng.normal(size=(count, 3)),
        quaternion=quaternion,
        velocity=fast * rng.normal(size=(count, 3)),
        spin=fast * rng.normal(size=(count, 3)),
        angles=rng.uniform(-1.5, 1.5, (count, 4, 3)),
        speeds=fast * rng.normal(size=(count, 4, 3)),
    )
    return Body(**{name: value.astype(np.float32) for name, value in vars(body).items()})


def mass_matrix(model: Any, data: Any) -> np.ndarray:
    """[18, 18] in our order and frame: spin and velocity of the trunk in its frame, joints."""
    import mujoco

    matrix = np.zeros((18, 18))
    for i, unit in enumerate(np.eye(18)):
        mujoco.mj_mulM(model, data, matrix[i], unit)
    ours = np.zeros((18, 18))  # MuJoCo's speeds of ours
    ours[:3, 3:6] = data.xmat[1].reshape(3, 3)
    ours[3:6, :3] = np.eye(3)
    ours[6:, 6:] = np.eye(12)
    return ours.T @ matrix @ ours


def reference(name: str, seed: int = 0) -> dict[str, np.ndarray]:
    """States of a robot in the air, and what MuJoCo says of them in float64.

    Returns:
        Fields of the states [n, ...]; `mass` [n, 171], lower triangles of mass matrices;
        `acceleration` [n, 18] without motors, of the trunk in the world's frame, of its spin in its
        own, and of the joints; `after_...`, fields of the states after `FLIGHT_TIME`.
    """
    import mujoco

    robot = free(make_robot(name))
    bodies = random_bodies(STATES, seed)
    exact = model_of(robot, dt=1e-3)
    exact.opt.integrator = mujoco.mjtIntegrator.mjINT_RK4
    masses, accelerations, after = [], [], []
    for i in range(STATES):
        data = place(exact, row(bodies, i))
        masses.append(mass_matrix(exact, data)[np.tril_indices(18)])
        accelerations.append(data.qacc.copy())
        for _ in range(round(FLIGHT_TIME / exact.opt.timestep)):
            mujoco.mj_step(exact, data)
        after.append(body_of(data))
    ends = {
        f"after_{field}": np.stack([getattr(body, field) for body in after])
        for field in vars(bodies)
    }
    return {
        **vars(bodies),
        "mass": np.stack(masses),
        "acceleration": np.stack(accelerations),
        **ends,
    }


def rest(robot: Robot, body: Body, ground: HeightMap | None = None, seconds: float = 3.0) -> Body:
    """Where a robot that holds its home pose comes to rest."""
    import mujoco

    model = model_of(robot, ground)
    data = place(model, body)
    data.ctrl[:] = np.ravel(robot.home)
    for _ in range(round(seconds / model.opt.timestep)):
        mujoco.mj_step(model, data)
    return body_of(data)


def standing(robot: Robot, height: float = 0.0) -> Body:
    """A robot at home with its feet on level ground of a height; float32."""
    return Body(
        position=np.array([0.0, 0.0, height + robot.height], np.float32),
        quaternion=np.array([1.0, 0.0, 0.0, 0.0], np.float32),
        velocity=np.zeros(3, np.float32),
        spin=np.zeros(3, np.float32),
        angles=np.asarray(robot.home),
        speeds=np.zeros((4, 3), np.float32),
    )


def row(tree: Body, index: int) -> Body:
    """One of a batch of robots."""
    return Body(**{name: value[index] for name, value in vars(tree).items()})


def main() -> None:
    """Write the reference."""
    found: dict[str, np.ndarray] = {}
    for name in ROBOTS:
        count = STATES if name == "go1" else 4
        arrays = {f"{name}_{field}": value[:count] for field, value in reference(name).items()}
        found |= {field: value.astype(np.float32) for field, value in arrays.items()}
        robot = make_robot(name)
        still = rest(robot, standing(robot))
        found |= {f"{name}_rest_{k}": v.astype(np.float32) for k, v in vars(still).items()}
    np.savez_compressed(REFERENCE, **found)
    print(f"{REFERENCE}: {REFERENCE.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
