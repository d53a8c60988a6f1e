"""Distances and contacts against polygons in numpy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax.pushing.contacts import agent_gap, object_contacts
from envs_jax.pushing.geometry import Vector, heading, rectangle_distance
from envs_jax.pushing.objects import OBJECTS

contacts_of = jax.jit(object_contacts)


def vectors(points):
    return Vector(jnp.float32(points[:, 0]), jnp.float32(points[:, 1]))


def test_frames_are_each_others_inverse():
    vector, frame = Vector(jnp.float32(0.3), jnp.float32(-2.0)), heading(jnp.float32(2.2))
    there = vector.into(frame)
    np.testing.assert_allclose(
        [there.x, there.y], [0.3 * frame.x - 2 * frame.y, -0.3 * frame.y - 2 * frame.x], rtol=1e-6
    )
    back = there.out_of(frame)
    np.testing.assert_allclose([back.x, back.y], [0.3, -2.0], rtol=1e-6)


def test_distance_from_a_rectangle(outlines):
    points = np.random.default_rng(0).uniform(-1.2, 1.2, (500, 2))
    half = Vector(jnp.float32(0.6), jnp.float32(0.6))
    distance, away = jax.jit(rectangle_distance)(vectors(points), half)
    np.testing.assert_allclose(distance, outlines["cuboid"].distance(points), atol=1e-6)
    away = np.stack([away.x, away.y], 1)
    np.testing.assert_allclose(np.linalg.norm(away, axis=1), 1.0, rtol=1e-5)
    feet = points - away * np.asarray(distance)[:, None]
    np.testing.assert_allclose(outlines["cuboid"].distance(feet), 0.0, atol=1e-6)


@pytest.mark.parametrize("name", ["cuboid", "t_block"])
def test_deepest_contact_is_the_distance_of_the_capsule(name, outlines, capsule_gap):
    random = np.random.default_rng(1)
    place = np.concatenate(
        [random.uniform(-1.1, 1.1, (3000, 2)), random.uniform(0, 7, (3000, 1))], 1
    )
    expected = capsule_gap(outlines[name], place, np.zeros(3), 0.145, 0.13)
    contacts = contacts_of(
        vectors(place), heading(jnp.float32(place[:, 2])), 0.145, 0.13,
        jnp.float32(OBJECTS[name].rectangles), 0.0,
    )  # fmt: skip
    deepest = np.min([contact.gap for contact in contacts], axis=0)
    near = (expected > -0.12) & (expected < 0.5)  # the axis is outside: else they do not agree
    assert near.sum() > 1000
    np.testing.assert_allclose(deepest[near], expected[near], atol=2e-3)
    for contact in contacts:
        on_surface = outlines[name].distance(np.stack([contact.point.x, contact.point.y], 1))
        assert (on_surface < 1e-5).all()  # of one rectangle: it may lie within the other
        np.testing.assert_allclose(contact.normal.length(), 1.0, atol=1e-5)


def test_a_capsule_flat_against_an_edge_has_two_contacts():
    flat = Vector(jnp.float32([0.0]), jnp.float32([0.73]))
    first, second = contacts_of(
        flat, heading(jnp.zeros(1)), 0.145, 0.13, jnp.float32([[0, 0, 0.6, 0.6]]), 0.0
    )
    np.testing.assert_allclose([first.gap, second.gap], 0.0, atol=1e-6)
    np.testing.assert_allclose([first.point.x, second.point.x], [[0.145], [-0.145]], atol=1e-6)
    np.testing.assert_allclose([first.normal.y, second.normal.y], 1.0)
    over_the_edge = Vector(jnp.float32([0.55]), jnp.float32([0.73]))
    first, second = contacts_of(
        over_the_edge, heading(jnp.zeros(1)), 0.145, 0.13, jnp.float32([[0, 0, 0.6, 0.6]]), 0.0
    )
    np.testing.assert_allclose([first.gap, second.gap], 0.0, atol=1e-6)
    np.testing.assert_allclose([first.point.x, second.point.x], [[0.6], [0.405]], atol=1e-6)


def test_a_cylinder_is_round():
    yaw = jnp.linspace(0, 6, 50)
    contacts = contacts_of(heading(yaw) * 2.0, heading(yaw), 0.145, 0.13, jnp.zeros((1, 4)), 1.5)
    near = contacts[1]  # the end that points inward
    np.testing.assert_allclose(near.gap, 2.0 - 1.5 - 0.145 - 0.13, atol=1e-5)
    np.testing.assert_allclose(
        [near.normal.x, near.normal.y], [jnp.cos(yaw), jnp.sin(yaw)], atol=1e-5
    )
    np.testing.assert_allclose(near.point.length(), 1.5, rtol=1e-5)


def segment(place, half):
    ends = np.array([np.cos(place[2]), np.sin(place[2])]) * half
    return np.array(place[:2]) + np.linspace(-1, 1, 201)[:, None] * ends


def test_gap_between_capsules():
    random = np.random.default_rng(2)
    place = np.stack([*random.uniform(-0.4, 0.4, (2, 40)), random.uniform(0, 7, 40)], 1)
    half, radius = random.uniform(0.05, 0.3, 40), random.uniform(0.05, 0.2, 40)
    gaps = jax.jit(functools.partial(agent_gap, shift=3))
    found = gaps(
        vectors(place), heading(jnp.float32(place[:, 2])), jnp.float32(half), jnp.float32(radius)
    )
    crossings = 0
    for i in range(40):
        j = (i + 3) % 40
        mine, others = segment(place[i], half[i]), segment(place[j], half[j])
        offset = mine[:, None] - others
        distance = np.linalg.norm(offset, axis=-1)
        nearest = np.unravel_index(distance.argmin(), distance.shape)
        expected = distance[nearest] - radius[i] - radius[j]
        assert found.gap[i] == pytest.approx(expected, abs=4e-3)
        away = np.array([found.away.x[i], found.away.y[i]])
        if distance[nearest] > 0.01:
            np.testing.assert_allclose(away, offset[nearest] / distance[nearest], atol=0.15)
        else:  # they cross
            crossings += 1
            between = place[i, :2] - place[j, :2]
            np.testing.assert_allclose(away, between / np.linalg.norm(between), atol=1e-4)
    assert crossings > 2


def test_arms_tell_how_a_turn_closes_the_gap():
    random = np.random.default_rng(3)
    place = vectors(random.uniform(-1.0, 1.0, (60, 2)))
    yaw, half, radius = jnp.float32(random.uniform(0, 7, 60)), jnp.full(60, 0.2), jnp.full(60, 0.05)
    gaps = jax.jit(lambda yaw: agent_gap(place, heading(yaw), half, radius, 1))
    found, small, even = gaps(yaw), 1e-3, jnp.arange(60) % 2 == 0
    even_turned = (gaps(yaw + jnp.where(even, small, 0.0)).gap - found.gap) / small
    apart = found.gap > 0.0
    expected = jnp.where(even, found.arm, -found.other_arm)
    wrong = jnp.abs(even_turned - expected) > 5e-3
    assert int((wrong & apart).sum()) <= 1  # where the nearest pair of points changes
    assert int(apart.sum()) > 50 and float(jnp.abs(expected).max()) > 0.1
