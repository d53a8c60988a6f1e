"""Pictures: joints where they should be, rays that meet what is there, and what is seen of it."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax.quadruped.engine import Body
from envs_jax.quadruped.heights import HeightMap
from envs_jax.quadruped.insets import caption, depth_inset, gait_inset, scan_inset
from envs_jax.quadruped.rays import Rays, box_hits, capsule_hits, ground_heights, ground_hits
from envs_jax.quadruped.render import View, draw
from envs_jax.quadruped.robot import make_robot
from envs_jax.quadruped.skeleton import skeleton

ROBOT = make_robot()
SIZE = (120, 160)
FROM_RIGHT = View(azimuth=-math.pi / 2, elevation=0.2, distance=2.0)
HIP, ABDUCTION, LINK = (0.1881, 0.04675), 0.08, 0.213


def body(position=(0.0, 0.0, 0.3), angles=None, yaw=0.0, velocity=(0.0, 0.0, 0.0)):
    return Body(
        position=np.array(position, np.float32),
        quaternion=np.array([math.cos(yaw / 2), 0, 0, math.sin(yaw / 2)], np.float32),
        velocity=np.array(velocity, np.float32),
        spin=np.zeros(3, np.float32),
        angles=np.asarray(ROBOT.home if angles is None else angles, np.float32),
        speeds=np.zeros((4, 3), np.float32),
    )


def same(abduction, hip, knee):
    """Angles of joints that are the same in every leg, [4, 3]."""
    return np.tile(np.array([abduction, hip, knee]), (4, 1))


def ground_of(height, cell=0.05, reach=4.0):
    """The map of a function of x and y."""
    axis = np.arange(-reach, reach, cell)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    heights = np.broadcast_to(height(x, y), x.shape).astype(np.float32)
    return HeightMap(heights, np.float32(cell), np.full(2, -reach, np.float32))


def yellow(picture):
    """Which pixels show the trunk, rows and columns, [n] each."""
    red, green, blue = np.moveaxis(picture.astype(int), -1, 0)
    return np.nonzero((red > 1.8 * blue) & (green > 1.4 * blue))


def red_feet(picture):
    red, green, blue = np.moveaxis(picture.astype(int), -1, 0)
    return int(((red > 2 * green) & (red > 2 * blue)).sum())


# Joints.


def test_legs_hang_straight_down_at_zero():
    points = skeleton(body((1.0, 2.0, 3.0), same(0, 0, 0)), ROBOT)
    right, front = np.array([-1, 1, -1, 1]), np.array([1, 1, -1, -1])
    x, y = 1 + front * HIP[0], 2 + right * HIP[1]
    side = y + right * ABDUCTION
    expected = [(x, y, 3), (x, side, 3), (x, side, 3 - LINK), (x, side, 3 - 2 * LINK)]
    for joint, (ex, ey, ez) in enumerate(expected):
        np.testing.assert_allclose(points.legs[:, joint, 0], ex, atol=1e-6)
        np.testing.assert_allclose(points.legs[:, joint, 1], ey, atol=1e-6)
        np.testing.assert_allclose(points.legs[:, joint, 2], ez, atol=1e-6)
    assert points.legs.shape == (4, 4, 3) and points.legs.dtype == np.float32


def test_joints_turn_as_they_should():
    a, h, k = 0.3, 0.7, -1.5
    legs = skeleton(body((0.0, 0.0, 0.0), same(a, h, k)), ROBOT).legs
    left_front = legs[1] - (*HIP, 0.0)
    # In the leg's plane, which the abduction turns about x.
    knee = np.array([-LINK * math.sin(h), ABDUCTION, -LINK * math.cos(h)])
    foot = knee + np.array([-LINK * math.sin(h + k), 0.0, -LINK * math.cos(h + k)])
    turn = np.array([[1, 0, 0], [0, math.cos(a), -math.sin(a)], [0, math.sin(a), math.cos(a)]])
    np.testing.assert_allclose(left_front[2], turn @ knee, atol=1e-6)
    np.testing.assert_allclose(left_front[3], turn @ foot, atol=1e-6)


def test_the_trunk_turns_with_its_legs():
    ahead = skeleton(body(), ROBOT)
    turned = skeleton(body(yaw=math.pi / 2), ROBOT)
    rotate = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    for name in ("legs", "corners"):
        points = getattr(ahead, name) - ahead.centre
        expected = points @ rotate.T + turned.centre
        np.testing.assert_allclose(getattr(turned, name), expected, atol=1e-6)
    np.testing.assert_allclose(ahead.corners[0] - ahead.centre, -ROBOT.trunk_size, atol=1e-6)
    np.testing.assert_allclose(ahead.corners[7] - ahead.centre, ROBOT.trunk_size, atol=1e-6)


# Rays.


def rays_of(eye, target, size=(60, 80), fov=1.0):
    return Rays.towards(np.array(eye, np.float32), np.array(target, np.float32), fov, size)


def test_the_target_is_in_the_middle_and_left_is_left():
    rays = rays_of((-2, 0, 1), (0, 0, 0))
    target, left, high = (np.array(p, np.float32) for p in ((0, 0, 0), (0, 0.2, 0), (0, 0, 0.2)))
    np.testing.assert_allclose(rays.project(target)[:2], (30, 40), atol=1e-4)
    assert rays.project(left)[1] < 39 and rays.project(high)[0] < 29
    np.testing.assert_allclose(rays.project(target)[2], math.sqrt(5), atol=1e-5)
    # A pixel's ray comes back to that pixel's middle.
    row, column, depth = rays.project(rays.eye + 3 * rays.directions[7, 11])
    np.testing.assert_allclose((row, column, depth), (7.5, 11.5, 3), atol=1e-3)


def test_level_ground_is_met_where_it_is_and_the_sky_is_not():
    rays = rays_of((1, 2, 0.8), (3, 2.5, 0.5))
    ground = ground_of(lambda x, y: 0.1)
    down = rays.directions[..., 2]
    true = np.where(down < 0, -0.7 / np.minimum(down, -1e-9), np.inf)
    found = ground_hits(rays, ground, 6.0, 14.0)
    near = true < 10
    assert near.any() and (~near).any()
    np.testing.assert_allclose(found[near], true[near], rtol=1e-3)
    assert np.isinf(found[down > 0]).all()


@pytest.mark.parametrize("eye", [(-1.5, -1.3, 0.9), (1.53, 0.2, 1.4), (0.02, 1.7, 0.8)])
def test_no_edge_of_rough_ground_is_missed(eye):
    rng = np.random.default_rng(0)
    squares = rng.choice([-0.5, 0.0, 0.1, 0.3], (20, 20)).repeat(8, 0).repeat(8, 1)
    ground = HeightMap(squares.astype("f4"), np.float32(0.05), np.full(2, -4.0, np.float32))
    rays = rays_of(eye, (0, 0, 0.1))
    found = ground_hits(rays, ground, 6.0, 14.0)
    # Against small steps along every ray, and half a pixel beside it: planes are nearest ones.
    depths = np.arange(0.002, 3.0, 0.002, dtype=np.float32)
    true = np.full((3, *found.shape), np.inf)
    for shift in range(3):
        directions = rays.directions + (shift - 1) * 0.5 / rays.focal * rays.axes[0]
        for depth in depths[::-1]:
            x, y, z = np.moveaxis(rays.eye + depth * directions, -1, 0)
            true[shift][z < ground_heights(ground, x, y)] = depth
    seen = np.isfinite(true).all(0)
    assert seen.mean() > 0.5
    true, found = true[:, seen], found[seen]
    assert np.median(np.abs(found - true[1])) < 0.003
    assert (np.abs(found - true[1]) > 0.02).mean() < 0.1
    assert ((found < true.min(0) - 0.02) | (found > true.max(0) + 0.02)).mean() < 0.005


def test_capsules_and_balls():
    start, end = np.array([0, -1, 0], np.float32), np.array([0, 1, 0], np.float32)
    origins = np.array([(-3, 0, 0), (-3, 0.9, 0.1), (-3, 1.1, 0), (-3, 1.3, 0), (0, -4, 0)], "f4")
    directions = np.array([(1, 0, 0), (2, 0, 0), (1, 0, 0), (1, 0, 0), (0, 1, 0)], "f4")
    found = capsule_hits(origins, directions, start, end, 0.2)
    expected = [2.8, (3 - math.sqrt(0.03)) / 2, 3 - math.sqrt(0.03), np.inf, 2.8]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    ball = capsule_hits(origins, directions, start, start, 0.2)
    np.testing.assert_allclose(ball, [np.inf] * 4 + [2.8], rtol=1e-4)
    assert np.isinf(capsule_hits(origins, -directions, start, end, 0.2)).all()  # behind


def test_a_turned_box():
    c = math.sqrt(0.5)
    axes = np.array([[c, -c, 0], [c, c, 0], [0, 0, 1]], np.float32)
    origins = np.array([(-3, 0.1, 0), (-3, 0, 1.1), (0.2, 0.1, 5)], np.float32)
    directions = np.array([(1, 0, 0), (1, 0, 0), (0, 0, -1)], np.float32)
    half = np.ones(3, np.float32)
    t, normals = box_hits(origins, directions, np.zeros(3, np.float32), axes, half)
    np.testing.assert_allclose(t, [3 - math.sqrt(2) + 0.1, np.inf, 4], rtol=1e-5)
    np.testing.assert_allclose(normals[0], (-c, c, 0), atol=1e-6)
    np.testing.assert_allclose(normals[2], (0, 0, 1), atol=1e-6)


# Pictures.


@pytest.mark.parametrize("size", [(120, 160), (91, 64), (240, 320)])
def test_a_picture(size):
    picture = draw(body(), ROBOT, size=size)
    assert picture.dtype == np.uint8 and picture.shape == (*size, 3)
    rows, columns = yellow(picture)
    assert len(rows) > 0.005 * size[0] * size[1]
    # The camera looks at the trunk.
    assert abs(rows.mean() - size[0] / 2) < 0.1 * size[0]
    assert abs(columns.mean() - size[1] / 2) < 0.1 * size[1]


def test_the_robot_moves_in_the_picture_unless_the_camera_goes_along():
    still = np.array([0, 0, 0.3], np.float32)
    places = [(-0.4, 0.0, 0.3), (0.4, 0.0, 0.3), (0.4, 0.0, 0.5)]
    fixed = [draw(body(p), ROBOT, view=FROM_RIGHT, target=still, size=SIZE) for p in places]
    middles = [np.mean(yellow(picture), axis=1) for picture in fixed]
    focal = SIZE[1] / 2 / math.tan(FROM_RIGHT.fov / 2)
    assert middles[1][1] - middles[0][1] == pytest.approx(0.8 * focal / 2.0, rel=0.1)
    assert middles[1][0] - middles[2][0] == pytest.approx(0.2 * focal / 2.0, rel=0.15)
    along = [draw(body(p), ROBOT, view=FROM_RIGHT, size=SIZE) for p in places[:2]]
    np.testing.assert_allclose(*(np.mean(yellow(picture), axis=1) for picture in along), atol=0.5)
    assert (along[0] != along[1]).any()  # the ground has moved


def test_ground_hides_the_robot_unless_the_camera_rises():
    def wall(x, y):
        return np.where((y < -0.5) & (y > -0.8), 0.9, 0.0)

    shut = draw(body(), ROBOT, ground_of(wall), view=FROM_RIGHT._replace(rise=False), size=SIZE)
    assert len(yellow(shut)[0]) == 0
    risen = draw(body(), ROBOT, ground_of(wall), view=FROM_RIGHT, size=SIZE)
    assert len(yellow(risen)[0]) > 100
    # A wall on the far side hides nothing, and the camera stays.
    beyond = ground_of(lambda x, y: wall(x, -y))
    seen = draw(body(), ROBOT, beyond, view=FROM_RIGHT, size=SIZE)
    np.testing.assert_array_equal(
        yellow(seen), yellow(draw(body(), ROBOT, None, view=FROM_RIGHT, size=SIZE))
    )


def test_the_trunk_hides_what_is_behind_it():
    behind = np.array([[0.0, 0.3, 0.25]])
    view = FROM_RIGHT._replace(elevation=0.0, rise=False)
    plain = draw(body(), ROBOT, view=view, size=SIZE)
    hidden = draw(body(), ROBOT, view=view, size=SIZE, scandots=behind)
    shown = draw(body(), ROBOT, view=view, size=SIZE, scandots=behind * (1, -1, 1))
    low = slice(SIZE[0] // 2 - 10, None)  # below the inset
    np.testing.assert_array_equal(plain[low], hidden[low])
    assert (plain[low] != shown[low]).any()


def test_risers_are_darker_than_treads():
    stairs = ground_of(lambda x, y: 0.2 * np.floor(np.maximum(x, 0) / 0.4))
    level = draw(body((-0.5, 0, 0.3)), ROBOT, None, size=SIZE)
    picture = draw(body((-0.5, 0, 0.3)), ROBOT, stairs, size=SIZE)
    corner = (slice(0, 40), slice(60, 160))
    assert level[corner].mean() > 1.15 * picture[corner].mean()


def test_the_robot_casts_a_shadow():
    away = body((0.0, 0.0, 5.0))
    target = np.array([0, 0, 0.3], np.float32)
    empty = draw(away, ROBOT, target=target, size=SIZE)
    picture = draw(body(), ROBOT, target=target, size=SIZE)
    ratio = picture.mean(-1) / empty.mean(-1)
    shadow = np.abs(ratio - 0.55) < 0.02
    assert 50 < shadow.sum() < 3000


def test_feet_on_the_ground_are_red():
    counts = [
        red_feet(draw(body(), ROBOT, size=SIZE, contacts=np.array([[touch] * 4]), view=FROM_RIGHT))
        for touch in (False, True)
    ]
    assert counts[0] == 0 and counts[1] > 8
    # The last row is now.
    history = np.array([[True] * 4, [False] * 4])
    assert red_feet(draw(body(), ROBOT, size=SIZE, contacts=history, view=FROM_RIGHT)) == 0


def test_leaves_may_be_of_jax():
    ground = ground_of(lambda x, y: 0.1 * np.sin(3 * x))
    on_device = jax.tree.map(jnp.asarray, (body(), ROBOT, ground))
    np.testing.assert_array_equal(
        draw(*on_device, size=SIZE), draw(body(), ROBOT, ground, size=SIZE)
    )


def test_what_cannot_be_drawn():
    with pytest.raises(ValueError, match="finite position"):
        draw(body((np.nan, 0, 0)), ROBOT)
    with pytest.raises(ValueError, match="distance"):
        draw(body(), ROBOT, view=View(distance=0.0))
    with pytest.raises(ValueError, match="size"):
        draw(body(), ROBOT, size=(0, 10))


def test_any_view_of_a_robot_is_a_picture():
    """Close, from above, from below the ground: no warning, no failure."""
    with np.errstate(invalid="raise", over="raise"):
        for view in (
            View(elevation=1.6),
            View(elevation=-1.6, rise=False),
            View(distance=0.1),
            View(distance=40.0),
            View(fov=1.9),
        ):
            assert draw(body(), ROBOT, view=view, size=(96, 64)).shape == (96, 64, 3)


# Insets.


def test_insets_are_in_their_corners():
    plain = draw(body(), ROBOT)
    dots = np.array([[x, y, 0.0] for x in (-0.4, 0.4) for y in (-0.4, 0.4)])
    corners = {
        "depth": ({"depth": np.full((58, 87), -0.5)}, (slice(0, 120), slice(320, 480))),
        "contacts": ({"contacts": np.zeros((9, 4), bool)}, (slice(240, 360), slice(0, 240))),
        "text": ({"text": "0.5 m/s"}, (slice(300, 360), slice(240, 480))),
    }
    for options, corner in corners.values():
        changed = (draw(body(), ROBOT, **options) != plain).any(-1)
        assert changed[corner].sum() > 100
        changed[corner] = False
        assert not changed.any()
    changed = (draw(body(), ROBOT, scandots=dots) != plain).any(-1)
    assert changed[10:120, 10:120].all()
    changed[:130, :130] = False
    assert 20 < changed.sum() < 2000  # the dots on the ground


def test_insets_fit_a_tiny_picture():
    options = {
        "depth": np.zeros((58, 87)),
        "contacts": np.ones((3, 4), bool),
        "scandots": np.zeros((1, 3)),
        "text": caption(body(), np.zeros(3)),
    }
    assert draw(body(), ROBOT, size=(40, 60), **options).shape == (40, 60, 3)


def test_near_is_white_and_far_is_black_in_a_depth_inset():
    picture = depth_inset(np.array([[-0.5, 0.5], [0.0, 9.0]]), (-0.5, 0.5), 40)
    assert picture.shape == (40, 40, 3)
    np.testing.assert_array_equal(picture[[10, 10, 30, 30], [10, 30, 10, 30], 0], [255, 0, 128, 0])
    metres = depth_inset(np.array([[0.0, 2.0]]), (0.0, 2.0), 40)
    assert metres[10, 10, 0] == 255 and metres[10, 30, 0] == 0


def test_a_gait_has_a_bar_for_each_leg_with_the_present_on_the_right():
    contacts = np.zeros((100, 4), bool)
    contacts[50:, 2] = True
    touched = (gait_inset(contacts, 240) == (50, 100, 180)).all(-1)
    rows, columns = np.nonzero(touched)
    height = touched.shape[0]
    assert height / 2 <= rows.min() and rows.max() < 3 * height / 4 + 2  # the third of four
    assert columns.max() == 237 and abs(columns.min() - (44 + 97)) <= 2


def test_ahead_is_up_in_a_scan_whatever_the_heading():
    def middle(dot, yaw):
        dots = np.array([dot, (0, 0, -1.0), (0, 0, -1.0)])  # the median is low, the dot red
        picture = scan_inset(dots, body((0, 0, 0.3), yaw=yaw), 100).astype(int)
        found = np.nonzero((picture[..., 0] > 180) & (picture[..., 1] < 120))
        return np.mean(found, axis=1)

    straight = middle((0.5, 0, 0.0), 0.0)
    assert straight[0] < 30  # up in the picture
    np.testing.assert_allclose(middle((0, 0.5, 0.0), math.pi / 2), straight, atol=1)
    assert middle((0, 0.5, 0.0), 0.0)[1] < 30  # left of it is left


def test_a_caption_is_in_the_robots_own_axes():
    lines = caption(body(yaw=math.pi / 2, velocity=(0.1, 0.7, 0.0)), (1.0, 0.0, -0.5))
    asked = "asked +1.00 +0.00 m/s -0.50 rad/s"
    assert lines == asked + "\nis +0.70 -0.10 m/s +0.00 rad/s"
    assert caption(body()) == "is +0.00 +0.00 m/s +0.00 rad/s"
