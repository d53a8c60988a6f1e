"""Our robots as MuJoCo models, and policies that walk in MuJoCo: a check of the engine.

Everything but :func:`xml_of` needs the extra ``mujoco``; nothing in the world itself does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from envs_jax.quadruped.assessment import MEASURES, Walks
from envs_jax.quadruped.env import SUBSTEPS, Quadruped
from envs_jax.quadruped.heights import HeightMap
from envs_jax.quadruped.measures import rotation_of, yaw_of
from envs_jax.quadruped.randomisation import RANGES
from envs_jax.quadruped.robot import Robot, corners
from envs_jax.quadruped.timestep import Body
from envs_jax.quadruped.world import QuadrupedParams, QuadrupedState, steered, targets

__all__ = ["body_of", "model_of", "place", "walk_in_mujoco", "xml_of"]

LEGS = ("FR", "FL", "RR", "RL")
JOINTS = ("abduction", "hip", "knee")


def xml_of(
    robot: Robot, ground: HeightMap | None = None, dt: float = 0.002, whole_body: bool = True
) -> str:
    """MJCF of a robot on flat ground at height 0 or on a height map.

    Actuators are the joints' position control, clipped as a whole. Feet, and with `whole_body`
    knees and the balls in the trunk's corners, touch the ground but not each other.
    """
    friction = float(robot.ground.friction)
    surface = f'contype="1" conaffinity="0" condim="3" priority="1" friction="{friction!r} 0 0"'
    asset, place = "", ""
    if ground is None:
        floor = f'<geom type="plane" size="0 0 1" {surface}/>'
    else:
        columns, rows = ground.heights.shape
        half = 0.5 * float(ground.cell) * (np.array([columns, rows]) - 1)
        low, high = float(np.min(ground.heights)), float(np.max(ground.heights))
        span = max(high - low, 1e-3)
        size = f"{_text(half)} {span!r} 1"
        asset = (
            f'<asset><hfield name="ground" nrow="{rows}" ncol="{columns}" size="{size}"/></asset>'
        )
        place = f'pos="{_text([*(np.asarray(ground.origin) + half), low])}"'
        floor = f'<geom type="hfield" hfield="ground" {place} {surface}/>'
    bodies, actuators = [], []
    for leg, name in enumerate(LEGS):
        bodies.append(_leg(robot, leg, name, whole_body))
        for i, joint in enumerate(JOINTS):
            gain, damping, limit = (
                float(x[i]) for x in (robot.stiffness, robot.damping, robot.torque_limit)
            )
            actuators.append(
                f'<general joint="{name}_{joint}" gainprm="{gain!r}" biastype="affine" '
                f'biasprm="0 {-gain!r} {-damping!r}" forcerange="{-limit!r} {limit!r}"/>'
            )
    balls = ""
    if whole_body:
        middles, radius = corners(robot)
        balls = "".join(_touching(radius, middle) for middle in np.stack(middles, -1))
    trunk = _inertial(robot.trunk_mass, robot.trunk_com, robot.trunk_inertia)
    return f"""<mujoco>
<compiler angle="radian" autolimits="true"/>
<option timestep="{dt!r}" gravity="0 0 -9.81" cone="elliptic" impratio="10" integrator="implicit"/>
{asset}
<worldbody>{floor}<body name="trunk"><freejoint/>{trunk}{balls}{"".join(bodies)}</body></worldbody>
<actuator>{"".join(actuators)}</actuator>
</mujoco>"""


def model_of(robot: Robot, ground: HeightMap | None = None, **options: Any) -> Any:
    """``mujoco.MjModel`` of :func:`xml_of`, with the height map's heights."""
    import mujoco

    model = mujoco.MjModel.from_xml_string(xml_of(robot, ground, **options))
    if ground is not None:
        heights = np.asarray(ground.heights).T  # MuJoCo's rows run along y
        model.hfield_data[:] = ((heights - heights.min()) / model.hfield_size[0, 2]).ravel()
    return model


def place(model: Any, body: Body) -> Any:
    """``mujoco.MjData`` with a robot where `body` is, its motors steering to where joints are."""
    import mujoco

    data = mujoco.MjData(model)
    data.qpos[:] = np.concatenate(
        [np.ravel(x) for x in (body.position, body.quaternion)] + [np.ravel(body.angles)]
    )
    data.qvel[:] = np.concatenate([np.ravel(x) for x in (body.velocity, body.spin, body.speeds)])
    data.ctrl[:] = np.ravel(body.angles)
    mujoco.mj_forward(model, data)
    return data


def body_of(data: Any) -> Body:
    """Where MuJoCo's robot is; float64."""
    return Body(
        position=data.qpos[:3].copy(),
        quaternion=data.qpos[3:7].copy(),
        velocity=data.qvel[:3].copy(),
        spin=data.qvel[3:6].copy(),
        angles=data.qpos[7:].reshape(4, 3).copy(),
        speeds=data.qvel[6:].reshape(4, 3).copy(),
    )


def walk_in_mujoco(
    env: Quadruped,
    params: QuadrupedParams,
    act: Callable[[Any, Any, jax.Array], tuple[Any, jax.Array]],
    carry: Any,
    episodes: int,
    steps: int,
    settle: int,
    seed: int = 0,
) -> Walks:
    """Let a policy walk in MuJoCo on flat ground, with joint friction and an exact solver.

    Without noise, pushes and randomisation; each episode has one command, as the world draws them.

    Args:
        env: the world it was trained in.
        params: of the world.
        act: ``(carry, observation, reset) -> (carry, action)`` for a batch of one; the mode.
        carry: its recurrent state at an episode's start.
        episodes: how many.
        steps: control steps of each.
        settle: steps at the start that do not count for the means.
        seed: of the commands.

    Raises:
        ValueError: for a world with a terrain, or without MuJoCo.
    """
    try:
        import mujoco
    except ImportError:
        raise ValueError("MuJoCo is not installed: pip install 'rljax-lab[mujoco]'") from None
    if params.terrain is not None:
        raise ValueError("the world has a terrain; expected ground 'flat' for MuJoCo")
    params = params.replace(**RANGES["none"])
    model = model_of(params.robot, dt=float(params.dt), whole_body=False)
    observe = jax.jit(lambda state: env.get_obs(state, params))
    start = jax.jit(lambda key: env.reset_env(key, params)[1])

    @jax.jit
    def steer(state: QuadrupedState) -> QuadrupedState:
        turn = state.heading - yaw_of(rotation_of(state.body))
        return state.replace(command=steered(state.command, turn, jnp.bool(False), params))

    sums = {name: np.zeros(episodes, np.float32) for name in MEASURES}
    fell, count = np.zeros(episodes, bool), np.zeros(episodes, np.int32)
    for episode in range(episodes):
        state = start(jax.random.key(seed + episode))
        data = place(model, state.body.replace(position=np.array([0, 0, params.robot.height])))
        memory = carry
        for number in range(steps):
            state = steer(state.replace(body=jax.tree.map(jnp.float32, body_of(data))))
            command = np.asarray(state.command)
            seen = jax.tree.map(lambda x: x[None], observe(state))
            memory, action = act(memory, seen, jnp.array([number == 0]))
            taken, target = targets(action[0], params.robot.home, params)
            state = state.replace(action=taken)
            data.ctrl[:] = np.ravel(target)
            mujoco.mj_step(model, data, SUBSTEPS)
            count[episode] = number + 1
            rotation = data.xmat[1].reshape(3, 3)
            if not rotation[2, 2] >= params.fall_tilt or not data.qpos[2] >= params.fall_height:
                fell[episode] = True
                break
            if number >= settle:
                velocity, spin = rotation.T @ data.qvel[:3], data.qvel[3:6]
                error = np.linalg.norm(command[:2] - velocity[:2])
                turn = abs(command[2] - spin[2])
                width = params.tracking_width
                now = (error, turn, np.exp(-(error**2) / width), np.exp(-(turn**2) / width))
                for name, value in zip(MEASURES, now, strict=True):
                    sums[name][episode] += value
    counted = np.maximum(count - settle, 0)
    means = {
        name: np.where(counted > 0, total / np.maximum(counted, 1), np.nan)
        for name, total in sums.items()
    }
    return Walks(means, fell, ~fell, count, np.zeros(episodes, np.int32))


def _leg(robot: Robot, leg: int, name: str, whole_body: bool) -> str:
    offsets = (robot.hip[leg], robot.thigh[leg], robot.knee[leg])
    knee = robot.knee[leg] if whole_body else None
    touching = (
        "",
        "" if knee is None else _touching(robot.knee_radius, knee),
        _touching(robot.foot_radius, robot.foot[leg]),
    )
    inner = ""
    for i in reversed(range(3)):
        limits = f"{float(robot.lower[leg, i])!r} {float(robot.upper[leg, i])!r}"
        joint = (
            f'<joint name="{name}_{JOINTS[i]}" axis="{"1 0 0" if i == 0 else "0 1 0"}" '
            f'armature="{float(robot.armature[i])!r}" damping="{float(robot.joint_damping[i])!r}" '
            f'frictionloss="{float(robot.joint_friction[i])!r}" range="{limits}"/>'
        )
        inertial = _inertial(
            robot.link_mass[leg, i], robot.link_com[leg, i], robot.link_inertia[leg, i]
        )
        inner = f'<body pos="{_text(offsets[i])}">{inertial}{joint}{touching[i]}{inner}</body>'
    return inner


def _touching(radius: Any, at: Any) -> str:
    return (
        f'<geom type="sphere" size="{_text(radius)}" pos="{_text(at)}" mass="0" '
        'contype="0" conaffinity="1"/>'
    )


def _inertial(mass: Any, com: Any, tensor: Any) -> str:
    return f'<inertial mass="{float(mass)!r}" pos="{_text(com)}" fullinertia="{_text(tensor)}"/>'


def _text(numbers: Any) -> str:
    return " ".join(repr(float(x)) for x in np.ravel(numbers))
