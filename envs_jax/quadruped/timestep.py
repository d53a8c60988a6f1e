"""One time step of a quadruped as a chain of phases, for a batch whose axis is the last.

Springs, dampers and friction of joints and contacts enter linearised at the end of the time step,
which makes steps of 4 ms stable.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from envs_jax.quadruped import dynamics
from envs_jax.quadruped.contact import (
    Contact,
    add_contact,
    contact_of,
    corner_contacts,
    ground_under,
)
from envs_jax.quadruped.dynamics import Joint, Links, Pose, columns
from envs_jax.quadruped.heights import HeightMap
from envs_jax.quadruped.robot import Robot, corners
from envs_jax.quadruped.spatial import (
    Articulated,
    Number,
    Spatial,
    Vector,
    add,
    cross,
    scale,
)

__all__ = ["Body", "Forces", "TimeStep"]


class Body(struct.PyTreeNode):
    """Where a robot is and how it moves; float32.

    Attributes:
        position: [3], of the trunk, m.
        quaternion: [4], orientation of the trunk, w x y z, unit.
        velocity: [3], of the trunk, in the world's frame, m/s.
        spin: [3], angular velocity in the trunk's frame, rad/s.
        angles: [4, 3], of the joints, rad.
        speeds: [4, 3], rad/s.
    """

    position: jax.Array
    quaternion: jax.Array
    velocity: jax.Array
    spin: jax.Array
    angles: jax.Array
    speeds: jax.Array


class Forces(struct.PyTreeNode):
    """Forces of the last time step, as its start asked for them: what came of them is less where
    springs, dampers and friction gave in within the step; float32.

    Attributes:
        feet: [4, 3], of the ground on the feet, in the world's frame, N.
        knees, corners: [4], along the ground's normal, on knees and on the trunk's corners, N;
            0 where these do not touch the ground.
        torques: [4, 3], of the motors, N m.
    """

    feet: jax.Array
    knees: jax.Array
    corners: jax.Array
    torques: jax.Array


class _Contacts(NamedTuple):
    """Contacts of feet and knees in the legs' frames and of the trunk's corners in its own; pushes
    along the normal of all three, [4, ...]; force on the feet in the world's frame."""

    feet: Contact
    knees: Contact | None
    corners: Contact | None
    pushes: Vector
    world: Vector


class _Motors(NamedTuple):
    """Torque and added inertia of each joint, and the motors' own torque."""

    torques: Vector
    inertias: Vector
    motors: Vector


# Joint friction is viscous below this speed, rad/s; limits are damped by this time, s.
_CREEP = 0.1
_LIMIT_TIME = 0.01


class TimeStep:
    """The links of one time step's chain, for a batch whose axis is the last of every array."""

    def __init__(
        self,
        target: jax.Array,
        previous: jax.Array,
        delay: jax.Array,
        robot: Robot,
        ground: HeightMap | None,
        dt: jax.Array,
        whole_body: bool,
    ) -> None:
        self.target, self.previous, self.delay = target, previous, delay
        self.robot, self.ground, self.dt, self.whole_body = robot, ground, dt, whole_body

    def chain(self) -> list[Any]:
        """Pose, motion, contacts, the three joints from calf to trunk, the trunk, the step."""
        return [
            self.pose,
            self.links,
            self.contacts,
            self.motors,
            self.calf,
            self.thigh,
            self.hip,
            self.trunk,
            self.acceleration,
            self.advance,
        ]

    def pose(self, state: Any, turn: Any) -> Pose:
        """Where the legs are, in the frames that the rest reckons in."""
        body: Body = state[0]
        return dynamics.pose_of(tuple(body.quaternion), columns(body.angles), self.robot)

    def links(self, state: Any, turn: Any, pose: Pose) -> Links:
        """How the links move, their inertias, and the forces of that motion (with gravity)."""
        body: Body = state[0]
        motion: Spatial = (
            tuple(body.spin),
            dynamics.from_world(pose, tuple(body.velocity)),
        )
        return dynamics.links_of(pose, motion, columns(body.speeds), self.robot)

    def contacts(self, state: Any, turn: Any, pose: Pose, links: Links) -> _Contacts:
        """What the ground does to feet, knees and corners."""
        body, robot = state[0], self.robot
        origin, drift = tuple(body.position), tuple(body.velocity)

        def out(v: Vector) -> Vector:
            return dynamics.to_world(pose, dynamics.to_trunk(pose, (v, v))[0])

        points = [pose.foot]
        places = [add(origin, out(pose.foot))]
        speeds = [out(_speed_at(links.velocities[2], pose.foot))]
        radii = [robot.foot_radius]
        if self.whole_body:
            corner, ball = corners(robot)
            points += [pose.knee, corner]
            places += [
                add(origin, out(pose.knee)),
                add(origin, dynamics.to_world(pose, corner)),
            ]
            turning = cross(tuple(body.spin), corner)
            speeds += [
                out(_speed_at(links.velocities[1], pose.knee)),
                add(drift, dynamics.to_world(pose, turning)),
            ]
            radii += [robot.knee_radius, ball]
        xs, ys = (jnp.stack([place[i] for place in places]) for i in range(2))
        heights, normals = ground_under(self.ground, xs, ys)
        found, pushes, world = [], [], []
        for i, (point, place, speed, radius) in enumerate(
            zip(points, places, speeds, radii, strict=True)
        ):
            height = heights if isinstance(heights, float) else heights[i]
            normal = tuple(n if isinstance(n, float) else n[i] for n in normals)
            force, drag, bounce, push = contact_of(
                height, normal, radius, place, speed, robot.ground, self.dt
            )
            own_normal = dynamics.from_world(pose, normal)
            own_force = dynamics.from_world(pose, force)
            if i < 2:
                own_normal, own_force = dynamics.to_leg(pose, (own_normal, own_force))
            found.append(Contact(point, own_normal, own_force, drag, bounce))
            pushes.append(push)
            world.append(force)
        if not self.whole_body:
            return _Contacts(found[0], None, None, (pushes[0], 0.0, 0.0), world[0])
        return _Contacts(found[0], found[1], found[2], tuple(pushes), world[0])

    def motors(self, state: Any, turn: Any, *_: Any) -> _Motors:
        """Torques of motors, stops and friction, and what they add to the joints' inertias."""
        body, robot, dt = state[0], self.robot, self.dt
        target = jnp.where(turn < self.delay, self.previous, self.target)
        torques, inertias, motors = [], [], []
        for joint in range(3):
            angle, speed = body.angles[:, joint], body.speeds[:, joint]
            gain, damping = robot.stiffness[joint], robot.damping[joint]
            limit = robot.torque_limit[joint]
            wanted = gain * (target[:, joint] - angle) - damping * speed
            motor = jnp.clip(wanted, -limit, limit)
            free = wanted == motor
            beyond = jnp.maximum(angle - robot.upper[:, joint], 0.0)
            beyond -= jnp.maximum(robot.lower[:, joint] - angle, 0.0)
            stop = jnp.where(beyond == 0.0, 0.0, robot.limit_stiffness)
            # All that resists a joint's speed, and all that resists its angle.
            resists = robot.joint_damping[joint] + _LIMIT_TIME * stop
            resists += robot.joint_friction[joint] / jnp.maximum(jnp.abs(speed), _CREEP)
            holds = stop + jnp.where(free, gain, 0.0)
            torques.append(motor - stop * beyond - (resists + dt * holds) * speed)
            added = resists + jnp.where(free, damping, 0.0) + dt * holds
            inertias.append(robot.armature[joint] + dt * added)
            motors.append(motor)
        return _Motors(tuple(torques), tuple(inertias), tuple(motors))

    def calf(
        self,
        state: Any,
        turn: Any,
        pose: Pose,
        links: Links,
        contacts: _Contacts,
        motors: _Motors,
    ) -> tuple[Articulated, Spatial, Joint]:
        """Articulated inertia and force of the calves, as the thighs feel them."""
        felt = add_contact(links.inertias[2], links.biases[2], contacts.feet)
        return self._without(2, pose, motors, *felt)

    def thigh(
        self,
        state: Any,
        turn: Any,
        pose: Pose,
        links: Links,
        contacts: _Contacts,
        motors: _Motors,
        calf: tuple[Articulated, Spatial, Joint],
    ) -> tuple[Articulated, Spatial, Joint]:
        """The same of the thighs with what hangs on them, as the hips feel them."""
        if contacts.knees is None:
            own = Articulated.of(links.inertias[1]), links.biases[1]
        else:
            own = add_contact(links.inertias[1], links.biases[1], contacts.knees)
        return self._without(1, pose, motors, own[0].joined(calf[0]), _sum(own[1], calf[1]))

    def hip(
        self,
        state: Any,
        turn: Any,
        pose: Pose,
        links: Links,
        contacts: _Contacts,
        motors: _Motors,
        calf: Any,
        thigh: tuple[Articulated, Spatial, Joint],
    ) -> tuple[Articulated, Spatial, Joint]:
        """The same of the hips, as the trunk feels them."""
        own = Articulated.of(links.inertias[0]).joined(thigh[0])
        return self._without(0, pose, motors, own, _sum(links.biases[0], thigh[1]))

    def trunk(
        self,
        state: Any,
        turn: Any,
        pose: Pose,
        links: Links,
        contacts: _Contacts,
        motors: Any,
        calf: Any,
        thigh: Any,
        hip: tuple[Articulated, Spatial, Joint],
    ) -> tuple[Articulated, Spatial]:
        """Articulated inertia and force of the whole robot, at the trunk."""
        legs = hip[0].about_x(pose.cosines[0], pose.sines[0]).summed()
        force = dynamics.sum_spatial(dynamics.to_trunk(pose, hip[1]))
        inertia = dynamics.trunk_inertia(self.robot)
        if contacts.corners is None:
            own = Articulated.of(inertia), links.trunk_bias
        else:
            own = corner_contacts(contacts.corners, inertia, links.trunk_bias)
        return own[0].joined(legs), _sum(own[1], force)

    def acceleration(self, state: Any, turn: Any, *results: Any) -> Spatial:
        """Of the trunk, angular and linear, in its frame."""
        inertia, force = results[7]
        against = [-f for f in (*force[0], *force[1])]
        a = dynamics.solve(inertia.lower(), against)
        return (a[0], a[1], a[2]), (a[3], a[4], a[5])

    def advance(self, state: Any, turn: Any, *results: Any) -> tuple[Body, Forces]:
        """The joints' accelerations, and the state at the end of the step."""
        body, dt = state[0], self.dt
        pose, _, contacts, motors = results[:4]
        calf, thigh, hip = results[4][2], results[5][2], results[6][2]
        trunk: Spatial = results[8]
        link = dynamics.to_leg(pose, trunk)
        faster: list[Any] = []
        for joint, axis in zip((hip, thigh, calf), dynamics.axes(pose), strict=True):
            gained = dynamics.acceleration_of(joint, link)
            faster.append(gained)
            link = _sum(link, (scale(gained, axis[0]), scale(gained, axis[1])))
        # The trunk's frame turns, so its coordinates of the velocity change by that too.
        moving = dynamics.from_world(pose, tuple(body.velocity))
        pulled = dynamics.to_world(pose, add(trunk[1], cross(tuple(body.spin), moving)))
        velocity = body.velocity + dt * _stack(pulled)
        spin = body.spin + dt * _stack(trunk[0])
        speeds = body.speeds + dt * jnp.stack(faster, 1)
        following = Body(
            position=body.position + dt * velocity,
            quaternion=_turned(body.quaternion, spin, dt),
            velocity=velocity,
            spin=spin,
            angles=body.angles + dt * speeds,
            speeds=speeds,
        )
        size = body.position.shape[-1]
        forces = Forces(
            feet=jnp.stack([jnp.broadcast_to(f, (4, size)) for f in contacts.world], 1),
            knees=contacts.pushes[1],
            corners=contacts.pushes[2],
            torques=jnp.stack(motors.motors, 1),
        )
        return following, forces

    def _without(
        self, joint: int, pose: Pose, motors: _Motors, inertia: Articulated, force: Spatial
    ) -> tuple[Articulated, Spatial, Joint]:
        return dynamics.eliminate(
            inertia,
            force,
            dynamics.axes(pose)[joint],
            motors.torques[joint],
            motors.inertias[joint],
        )


def _speed_at(motion: Spatial, point: Vector) -> Vector:
    """Velocity of a body's point."""
    return add(motion[1], cross(motion[0], point))


def _turned(quaternion: jax.Array, spin: jax.Array, dt: Number) -> jax.Array:
    """Orientation after a time step: first order, normalised."""
    w, x, y, z = quaternion
    a, b, c = (0.5 * dt * s for s in spin)
    new = jnp.stack(
        [
            w - x * a - y * b - z * c,
            x + w * a + y * c - z * b,
            y + w * b + z * a - x * c,
            z + w * c + x * b - y * a,
        ]
    )
    return new * jax.lax.rsqrt(jnp.sum(new * new, 0))


def _stack(v: Vector) -> jax.Array:
    return jnp.stack([jnp.asarray(x) for x in v])


def _sum(a: Spatial, b: Spatial) -> Spatial:
    return add(a[0], b[0]), add(a[1], b[1])
