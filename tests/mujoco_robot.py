"""Our robots as MuJoCo models, and what MuJoCo makes of them: the reference of the dynamics tests.

``python tests/mujoco_robot.py`` writes ``tests/data/quadruped_mujoco.npz`` anew (needs the extra
``mujoco``); the default tests read that file and need no MuJoCo.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from envs_jax.quadruped.engine import Body
from envs_jax.quadruped.heights import HeightMap
from envs_jax.quadruped.robot import ROBOTS, Robot, make_robot

REFERENCE = Path(__file__).parent / "data" / "quadruped_mujoco.npz"
LEGS = ("FR", "FL", "RR", "RL")
JOINTS = ("abduction", "hip", "knee")
STATES = 48  # of the reference, as many of each robot
FLIGHT_TIME = 0.2  # s


def xml_of(
    robot: Robot, ground: HeightMap | None = None, dt: float = 0.002, whole_body: bool = True
) -> str:
    """MJCF of a robot on flat ground at height 0 or on a height map.

    Actuators are the joints' position control, clipped as a whole. Feet, and with `whole_body`
    knees and the trunk's box, touch the ground but not each other.
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
    box = _touching("box", robot.trunk_size, np.zeros(3)) if whole_body else ""
    trunk = _inertial(robot.trunk_mass, robot.trunk_com, robot.trunk_inertia)
    return f"""<mujoco>
<compiler angle="radian" autolimits="true"/>
<option timestep="{dt!r}" gravity="0 0 -9.81" cone="elliptic" impratio="10" integrator="implicit"/>
{asset}
<worldbody>{floor}<body name="trunk"><freejoint/>{trunk}{box}{"".join(bodies)}</body></worldbody>
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


def _leg(robot: Robot, leg: int, name: str, whole_body: bool) -> str:
    offsets = (robot.hip[leg], robot.thigh[leg], robot.knee[leg])
    knee = robot.knee[leg] if whole_body else None
    touching = (
        "",
        "" if knee is None else _touching("sphere", [robot.knee_radius], knee),
        _touching("sphere", [robot.foot_radius], robot.foot[leg]),
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


def _inertial(mass: Any, com: Any, tensor: Any) -> str:
    return f'<inertial mass="{float(mass)!r}" pos="{_text(com)}" fullinertia="{_text(tensor)}"/>'


def _touching(kind: str, size: Any, at: Any) -> str:
    return (
        f'<geom type="{kind}" size="{_text(size)}" pos="{_text(at)}" mass="0" '
        'contype="0" conaffinity="1"/>'
    )


def _text(numbers: Any) -> str:
    return " ".join(repr(float(x)) for x in np.ravel(numbers))


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
