"""What a world is: its parameters, its state, and how an episode starts."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs_jax.base import EnvParams, EnvState
from envs_jax.pushing.geometry import Bodies, Vector, heading
from envs_jax.pushing.objects import ObjectKind

__all__ = ["PushingParams", "PushingState", "default_params", "start"]


@struct.dataclass(kw_only=True)
class PushingParams(EnvParams):
    """Physical constants, ranges and reward scales; all traced.

    Arrays with a leading axis ``[n]`` have one entry per agent, so that agents may differ. The
    defaults are those of a Unitree Go1 under MAPush's walking policy; ranges are (low, high).

    Attributes:
        max_steps_in_episode: steps of `dt`: 20 s and the one step that the original adds.
        dt: control and integration step, s.
        gravity: m/s^2.
        rectangles: float32 ``[k, 4]``, see :class:`~envs_jax.pushing.objects.ObjectKind`, m.
        rounding: m.
        object_mass: kg.
        object_inertia: kg m^2.
        object_friction: range of the object's coefficient of friction, drawn per episode.
        ground_friction: the ground's; the mean of the two acts between them, as in PhysX.
        limit_radius: range of the limit surface's radius c, m, drawn per episode.
        action_gain: of the policy's action, before it is clipped to [-1, 1].
        speed_limit: float32 ``[n, 3]``, the largest forward (m/s), sideward (m/s) and yaw (rad/s)
            speed that can be commanded.
        lag: float32 ``[2, n]``, range of the time constant with which speed follows command, s,
            drawn per episode and agent.
        agent_length: float32 ``[n]``, of the capsule from tip to tip, m.
        agent_radius: float32 ``[n]``, half the capsule's width, m. By default a little over half
            of `clearance`, so that agents who push side by side are not too close.
        agent_mass: float32 ``[n]``, kg.
        agent_friction: float32 ``[n]``, coefficient between feet and ground. The traction, which
            is the most that an agent can push with, is this times its weight.
        contact_friction: float32 ``[n]``, coefficient between agent and object.
        spawn_radius: range of the agents' distance from the object at reset, m.
        spawn_speed: agents start with speeds within this of zero, m/s and rad/s.
        target_distance: range of the target's distance from the object at reset, m.
        threshold: the object is there when it is closer than this to the target, m.
        clearance: the episode fails when two agents' centres are closer than this, m.
        push_speed: the object counts as pushed above this speed, m/s.
        target_scale: of the reward for bringing the object closer.
        approach_scale: of the (negative) reward for an agent's distance from the object.
        collision_scale: of the reward for each other agent's nearness.
        push_scale: of the reward for moving the object.
        ocb_scale: of the occlusion-based reward: for being behind the object.
        reach_scale: of success.
        exception_scale: of failure.
    """

    max_steps_in_episode: int = 1001
    dt: float = 0.02
    gravity: float = 9.81
    rectangles: jax.Array
    rounding: float
    object_mass: float
    object_inertia: float
    object_friction: tuple[float, float]
    ground_friction: float = 0.1
    limit_radius: tuple[float, float]
    action_gain: float = 0.5
    speed_limit: jax.Array
    lag: jax.Array
    agent_length: jax.Array
    agent_radius: jax.Array
    agent_mass: jax.Array
    agent_friction: jax.Array
    contact_friction: jax.Array
    spawn_radius: tuple[float, float]
    spawn_speed: float = 0.1
    target_distance: tuple[float, float] = (1.5, 3.0)
    threshold: float = 1.0
    clearance: float = 0.25
    push_speed: float = 0.1
    target_scale: float = 0.00325
    approach_scale: float = 0.00075
    collision_scale: float
    push_scale: float = 0.0015
    ocb_scale: float = 0.004
    reach_scale: float = 10.0
    exception_scale: float = -5.0


@struct.dataclass
class PushingState(EnvState):
    """One world.

    Attributes:
        time: int32, steps of `dt` since the start.
        object: scalars.
        agents: leaves ``[n]``.
        target: position, m.
        impulse: float32 ``[n, 2 k, 2]``, what each agent gave the object in the last step: contact,
            (along, across), N s. Where the next step starts its search.
        friction: coefficient between object and ground in this episode.
        limit_radius: of the limit surface in this episode, m.
        lag: float32 ``[n]``, in this episode, s.
    """

    time: jax.Array
    object: Bodies
    agents: Bodies
    target: Vector
    impulse: jax.Array
    friction: jax.Array
    limit_radius: jax.Array
    lag: jax.Array


def default_params(kind: ObjectKind, num_agents: int) -> PushingParams:
    """Parameters for an object and a team of Go1s."""

    def each(value: float) -> jax.Array:
        return jnp.full(num_agents, value, jnp.float32)

    return PushingParams(
        rectangles=jnp.asarray(kind.rectangles, jnp.float32),
        rounding=kind.rounding,
        object_mass=kind.mass,
        object_inertia=kind.inertia,
        object_friction=kind.friction_range,
        limit_radius=kind.limit_radius_range,
        speed_limit=jnp.full((num_agents, 3), 0.5, jnp.float32),
        lag=jnp.stack([each(0.1), each(0.4)]),
        agent_length=each(0.55),
        agent_radius=each(0.13),
        agent_mass=each(11.31),
        agent_friction=each(0.55),
        contact_friction=each(0.65),
        spawn_radius=kind.spawn_radius_range,
        collision_scale=kind.collision_scale,
    )


def start(key: jax.Array, params: PushingParams) -> PushingState:
    """Draw an episode's first state: the object is at the origin, the agents around it."""
    n = params.agent_mass.shape[0]
    draws = jax.random.uniform(key, (5 + 7 * n,))
    (yaw, far, bearing, friction, radius), each = draws[:5], draws[5:].reshape(7, n)

    def within(share: jax.Array, bounds: tuple[float, float] | jax.Array) -> jax.Array:
        return bounds[0] + share * (bounds[1] - bounds[0])

    zero = jnp.zeros_like(yaw)
    speeds = (2.0 * each[:3] - 1.0) * params.spawn_speed
    own_friction = within(friction, params.object_friction)
    return PushingState(
        time=jnp.zeros((), jnp.int32),
        object=Bodies(Vector(zero, zero), 2 * np.pi * yaw, Vector(zero, zero), zero),
        agents=Bodies(
            heading(2 * np.pi * each[3]) * within(each[4], params.spawn_radius),
            2 * np.pi * each[5],
            Vector(speeds[0], speeds[1]),
            speeds[2],
        ),
        target=heading(2 * np.pi * bearing) * within(far, params.target_distance),
        impulse=jnp.zeros((n, 2 * params.rectangles.shape[0], 2)),
        friction=0.5 * (own_friction + params.ground_friction),
        limit_radius=within(radius, params.limit_radius),
        lag=within(each[6], params.lag),
    )
