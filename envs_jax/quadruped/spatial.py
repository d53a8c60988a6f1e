"""Vectors and spatial algebra (Featherstone 2008, chapter 2) on tuples of numbers.

A number is an array of any shape, or a Python float that is known while tracing: products with
0.0 and 1.0 then cost nothing, so one general formula serves axes and offsets that are mostly zeros.
A spatial vector is a pair (angular, linear) about a common origin: a motion (rad/s, m/s) or a force
(N m, N).
"""

from typing import NamedTuple, TypeAlias

import jax

__all__ = [
    "X_AXIS",
    "Y_AXIS",
    "Articulated",
    "Inertia",
    "Matrix",
    "Number",
    "Spatial",
    "Symmetric",
    "Vector",
    "about_x",
    "add",
    "cross",
    "cross_force",
    "cross_motion",
    "dot",
    "less",
    "pair",
    "plus",
    "point_mass",
    "rotate",
    "scale",
    "sum_legs",
    "times",
    "turn",
    "unturn",
]

Number: TypeAlias = jax.Array | float
Vector: TypeAlias = tuple[Number, ...]
Spatial: TypeAlias = tuple[Vector, Vector]
Matrix: TypeAlias = tuple[Vector, ...]
"""Rows."""
Symmetric: TypeAlias = tuple[Number, ...]
"""xx, yy, zz, xy, xz, yz."""

X_AXIS: Vector = (1.0, 0.0, 0.0)
Y_AXIS: Vector = (0.0, 1.0, 0.0)
ZERO: Vector = (0.0, 0.0, 0.0)

# Where entry [i][j] of a symmetric 3x3 matrix is.
_ENTRY = ((0, 3, 4), (3, 1, 5), (4, 5, 2))


def times(*factors: Number) -> Number:
    """Product; 0.0 if any factor is known to be."""
    product: Number = 1.0
    for factor in factors:
        if _is(factor, 0.0) or _is(product, 0.0):
            return 0.0
        product = factor if _is(product, 1.0) else product if _is(factor, 1.0) else product * factor
    return product


def plus(*terms: Number) -> Number:
    """Sum, without the terms that are known to be 0.0."""
    total: Number = 0.0
    for term in terms:
        total = term if _is(total, 0.0) else total if _is(term, 0.0) else total + term
    return total


def less(a: Number, b: Number) -> Number:
    """``a - b``."""
    if _is(b, 0.0):
        return a
    return -b if _is(a, 0.0) else a - b


def add(*vectors: tuple[Number, ...]) -> tuple[Number, ...]:
    """Sum of vectors or of symmetric matrices."""
    return tuple(plus(*entries) for entries in zip(*vectors, strict=True))


def scale(factor: Number, vector: tuple[Number, ...]) -> tuple[Number, ...]:
    """Product of a number and a vector or matrix."""
    return tuple(times(factor, entry) for entry in vector)


def dot(a: tuple[Number, ...], b: tuple[Number, ...]) -> Number:
    """Inner product."""
    return plus(*(times(x, y) for x, y in zip(a, b, strict=True)))


def cross(a: Vector, b: Vector) -> Vector:
    """Vector product."""
    return (
        less(times(a[1], b[2]), times(a[2], b[1])),
        less(times(a[2], b[0]), times(a[0], b[2])),
        less(times(a[0], b[1]), times(a[1], b[0])),
    )


def pair(motion: Spatial, force: Spatial) -> Number:
    """Power: the product of a spatial motion and a spatial force."""
    return plus(dot(motion[0], force[0]), dot(motion[1], force[1]))


def cross_motion(motion: Spatial, other: Spatial) -> Spatial:
    """How `other` changes by moving along with `motion`: the spatial product of motions."""
    angular, linear = motion
    return cross(angular, other[0]), add(cross(angular, other[1]), cross(linear, other[0]))


def cross_force(motion: Spatial, force: Spatial) -> Spatial:
    """The same for a force."""
    angular, linear = motion
    return add(cross(angular, force[0]), cross(linear, force[1])), cross(angular, force[1])


def turn(cosine: Number, sine: Number, v: Vector) -> Vector:
    """A vector turned about the x axis."""
    return (
        v[0],
        less(times(cosine, v[1]), times(sine, v[2])),
        plus(times(sine, v[1]), times(cosine, v[2])),
    )


def unturn(cosine: Number, sine: Number, v: Vector) -> Vector:
    """A vector turned about the x axis the other way."""
    return (
        v[0],
        plus(times(cosine, v[1]), times(sine, v[2])),
        less(times(cosine, v[2]), times(sine, v[1])),
    )


def rotate(matrix: Matrix, v: Vector) -> Vector:
    """Product of a matrix (its rows) and a vector."""
    return dot(matrix[0], v), dot(matrix[1], v), dot(matrix[2], v)


def sum_legs(x: Number) -> Number:
    """Sum over the leading axis, that of the legs: ``[4, ...] -> [...]``."""
    return x if isinstance(x, float) else x.sum(0)


class Inertia(NamedTuple):
    """Spatial inertia of a rigid body about the origin.

    Attributes:
        mass: kg.
        moment: mass times the position of its centre, kg m.
        tensor: rotational inertia about the origin, kg m^2.
    """

    mass: Number
    moment: Vector
    tensor: Symmetric

    def __mul__(self, motion: Spatial) -> Spatial:  # type: ignore[override]
        """Momentum of a motion, or force of an acceleration."""
        angular, linear = motion
        rows = (_row(self.tensor, 0), _row(self.tensor, 1), _row(self.tensor, 2))
        return (
            add(rotate(rows, angular), cross(self.moment, linear)),
            add(scale(self.mass, linear), cross(angular, self.moment)),
        )

    def joined(self, other: "Inertia") -> "Inertia":
        """Inertia of both bodies as one."""
        return Inertia(
            plus(self.mass, other.mass),
            add(self.moment, other.moment),
            add(self.tensor, other.tensor),
        )


def point_mass(mass: Number, at: Vector, tensor: Symmetric = (0.0,) * 6) -> Inertia:
    """Inertia of a body whose centre is at a point, with its own `tensor` about that."""
    moment = scale(mass, at)
    (x, y, z), (mx, my, mz) = at, moment
    xx, yy, zz = times(mx, x), times(my, y), times(mz, z)
    steiner = (plus(yy, zz), plus(xx, zz), plus(xx, yy))
    products = (times(mx, y), times(mx, z), times(my, z))
    return Inertia(
        mass,
        moment,
        add(tensor, (*steiner, *(less(0.0, product) for product in products))),
    )


class Articulated(NamedTuple):
    """Inertia of a body with others jointed to it: a symmetric 6x6 matrix (chapter 7).

    Attributes:
        angular: upper left block.
        coupling: upper right block, 3x3 by rows.
        linear: lower right block.
    """

    angular: Symmetric
    coupling: Matrix
    linear: Symmetric

    @staticmethod
    def of(inertia: Inertia) -> "Articulated":
        """The inertia of a rigid body."""
        x, y, z = inertia.moment
        mass = inertia.mass
        return Articulated(
            inertia.tensor,
            ((0.0, less(0.0, z), y), (z, 0.0, less(0.0, x)), (less(0.0, y), x, 0.0)),
            (mass, mass, mass, 0.0, 0.0, 0.0),
        )

    def __mul__(self, motion: Spatial) -> Spatial:  # type: ignore[override]
        """Force of an acceleration."""
        angular, linear = motion
        force = []
        for i in range(3):
            column = tuple(row[i] for row in self.coupling)
            force.append(plus(dot(column, angular), dot(_row(self.linear, i), linear)))
        torque = tuple(
            plus(dot(_row(self.angular, i), angular), dot(self.coupling[i], linear))
            for i in range(3)
        )
        return torque, (force[0], force[1], force[2])

    def joined(self, other: "Articulated") -> "Articulated":
        """Sum of both."""
        rows = tuple(add(a, b) for a, b in zip(self.coupling, other.coupling, strict=True))
        return Articulated(add(self.angular, other.angular), rows, add(self.linear, other.linear))

    def with_outer(self, weight: Number, force: Spatial) -> "Articulated":
        """Sum with the weighted outer product of a force and itself."""
        angular, linear = force
        weighted, pushed = scale(weight, angular), scale(weight, linear)
        rows = tuple(
            tuple(plus(entry, times(weighted[i], b)) for entry, b in zip(row, linear, strict=True))
            for i, row in enumerate(self.coupling)
        )
        return Articulated(
            add(self.angular, _outer(weighted, angular)),
            rows,
            add(self.linear, _outer(pushed, linear)),
        )

    def about_x(self, cosine: Number, sine: Number) -> "Articulated":
        """The same inertia, turned about the x axis."""
        columns = [turn(cosine, sine, tuple(row[j] for row in self.coupling)) for j in range(3)]
        rows = [turn(cosine, sine, tuple(column[i] for column in columns)) for i in range(3)]
        return Articulated(
            about_x(cosine, sine, self.angular),
            (rows[0], rows[1], rows[2]),
            about_x(cosine, sine, self.linear),
        )

    def summed(self) -> "Articulated":
        """Sum over the legs."""
        return jax.tree.map(sum_legs, self)

    def lower(self) -> list[list[Number]]:
        """Rows of the lower triangle of the 6x6 matrix."""
        whole = [[*_row(self.angular, i), *self.coupling[i]] for i in range(3)]
        for i in range(3):
            column = [row[i] for row in self.coupling]
            whole.append([*column, *_row(self.linear, i)])
        return [row[: i + 1] for i, row in enumerate(whole)]


def about_x(cosine: Number, sine: Number, s: Symmetric) -> Symmetric:
    """A symmetric matrix turned about the x axis."""
    xx, yy, zz, xy, xz, yz = s
    cc, ss, cs = times(cosine, cosine), times(sine, sine), times(cosine, sine)
    shear = times(2.0, cs, yz)
    _, turned_xy, turned_xz = turn(cosine, sine, (0.0, xy, xz))
    return (
        xx,
        plus(times(cc, yy), less(times(ss, zz), shear)),
        plus(times(ss, yy), times(cc, zz), shear),
        turned_xy,
        turned_xz,
        plus(times(cs, less(yy, zz)), times(less(cc, ss), yz)),
    )


def _row(s: Symmetric, i: int) -> Vector:
    a, b, c = _ENTRY[i]
    return s[a], s[b], s[c]


def _outer(a: Vector, b: Vector) -> Symmetric:
    """Outer product of two parallel vectors."""
    return (
        times(a[0], b[0]),
        times(a[1], b[1]),
        times(a[2], b[2]),
        times(a[0], b[1]),
        times(a[0], b[2]),
        times(a[1], b[2]),
    )


def _is(x: Number, value: float) -> bool:
    return isinstance(x, float) and x == value
