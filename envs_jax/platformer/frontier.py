"""The states of a search, of many levels at once: which wait, which are known, what comes next."""

from __future__ import annotations

import heapq

import jax
import numpy as np

from envs_jax.platformer.actions import ACTIONS, HORIZONTAL, JUMP
from envs_jax.platformer.estimate import lift_of, make_estimate
from envs_jax.platformer.expansion import FLOATS, SKIP, SMALLS, expand, roots
from envs_jax.platformer.levels import Levels, compile_levels
from envs_jax.platformer.maps import Map
from envs_jax.platformer.proof import Effort, Proof
from envs_jax.platformer.state import DEAD, DYING, JUMPING, WON

__all__ = ["Frontier"]

# Of roughly equal states: x and y in px, speeds in px a frame. What an action changes of a speed
# must be more, or nobody would ever gather speed.
_ALIKE = np.array([6.0, 6.0, 0.16, 0.2])
_MEASURED = [FLOATS.index(name) for name in ("x", "y", "vx", "vy")]
_FRAME = len(FLOATS)
_ACTIVE = len(SMALLS)
_SMALL = {name: column for column, name in enumerate(SMALLS)}


class _Slot:
    """The search in one level."""

    def __init__(self, number: int, level: Map, greed: float) -> None:
        self.number = number
        self.level = level
        self.estimate = make_estimate(level)
        self.heap: list[tuple[float, int]] = []
        self.seen: dict[int, float] = {}
        self.greed = greed
        self.first = 0.0
        self.count = 0  # states known
        self.expanded = 0
        self.stop = 0
        self.best: tuple[float, int, int] | None = None  # frames, parent, action


class Frontier:
    """Levels in slots, and their states."""

    def __init__(self, effort: Effort) -> None:
        self._effort = effort
        self._slots: list[_Slot | None] = [None] * effort.slots
        self._levels: Levels | None = None
        self._device: Levels | None = None
        rng = np.random.default_rng(0)
        width = len(SMALLS) + 1 + effort.doors + effort.mines
        self._room = 1 + 3 * (effort.states + effort.polish)
        self._floats = np.zeros((effort.slots, self._room, _FRAME + 1), np.float32)
        self._smalls = np.zeros((effort.slots, self._room, width), np.int8)
        self._parent = np.zeros((effort.slots, self._room), np.int32)
        self._action = np.zeros((effort.slots, self._room), np.int8)
        self._left = np.zeros((effort.slots, self._room), np.float32)
        self._mix = rng.integers(1, 2**63, 8 + width, np.uint64) | np.uint64(1)
        # Of what is not measured only these tell states apart, and all entities.
        self._telling = np.array(
            [_SMALL[name] for name in ("airborne", "walled", "jump_held")]
            + list(range(_ACTIVE, width))
        )

    @property
    def vacant(self) -> bool:
        return None in self._slots

    @property
    def busy(self) -> bool:
        return any(slot is not None for slot in self._slots)

    def admit(self, number: int, level: Map) -> None:
        """Start on a level."""
        effort = self._effort
        compiled = compile_levels([level], mines=effort.mines, doors=effort.doors)
        if self._levels is None:
            self._levels = jax.tree.map(
                lambda leaf: np.repeat(np.asarray(leaf), effort.slots, 0), compiled
            )
        at = self._slots.index(None)
        for leaf, row in zip(jax.tree.leaves(self._levels), jax.tree.leaves(compiled), strict=True):
            leaf[at] = row[0]
        self._device = None
        self._slots[at] = slot = _Slot(number, level, effort.greed)
        slot.count, slot.stop = 0, effort.states
        slot.heap = [(0.0, -1)]  # its root, when the level has reached the device

    def advance(self) -> list[tuple[int, Map, Proof | None]]:
        """Expand one batch; what has come to an end by it."""
        if self._device is None:
            self._settle()
        effort = self._effort
        busy = [at for at, slot in enumerate(self._slots) if slot is not None]
        share = min(max(1, effort.batch // len(busy)), effort.share)
        where, which = list[int](), list[int]()
        for at in busy:
            slot = self._slots[at]
            assert slot is not None
            taken = 0
            while slot.heap and taken < share and len(where) < effort.batch:
                _, node = heapq.heappop(slot.heap)
                where.append(at)
                which.append(node)
                taken += 1
            slot.expanded += taken
        if where:
            self._expand(np.array(where), np.array(which))
        return [result for at in busy if (result := self._finished(at)) is not None]

    def _settle(self) -> None:
        """Bring new levels to the device and their starts into the pool."""
        self._device = jax.device_put(self._levels)
        floats, smalls = (np.asarray(each) for each in roots(self._device))
        for at, slot in enumerate(self._slots):
            if slot is not None and slot.heap == [(0.0, -1)]:
                self._floats[at, 0], self._smalls[at, 0] = floats[at], smalls[at]
                slot.heap, slot.count = [(0.0, 0)], 1
                ones = np.array([at])
                slot.first = float(self._frames_left(floats[ones], smalls[ones], ones)[0])

    def _expand(self, where: np.ndarray, which: np.ndarray) -> None:
        effort = self._effort
        count, fill = len(where), effort.batch - len(where)
        slots, nodes = np.pad(where, (0, fill)), np.pad(which, (0, fill))
        floats, smalls = expand(
            self._floats[slots, nodes],
            self._smalls[slots, nodes],
            slots.astype(np.int32),
            self._device,
            effort.precision,
        )
        floats = np.asarray(floats)[:, :count].reshape(ACTIONS * count, -1)
        smalls = np.asarray(smalls)[:, :count].reshape(ACTIONS * count, -1)
        parents, owners = np.tile(which, ACTIONS), np.tile(where, ACTIONS)
        actions = np.repeat(np.arange(ACTIONS), count)
        state = smalls[:, 0]
        for row in np.nonzero(state == WON)[0]:
            slot = self._slots[owners[row]]
            assert slot is not None
            found = (float(floats[row, _FRAME]), int(parents[row]), int(actions[row]))
            if slot.best is None:
                slot.stop = slot.expanded + effort.polish
            if slot.best is None or found < slot.best:
                slot.best = found
                self._refocus(int(owners[row]), slot)
        alive = np.nonzero((state != WON) & (state != DEAD) & (state != DYING))[0]
        self._keep(floats[alive], smalls[alive], owners[alive], parents[alive], actions[alive])

    def _refocus(self, at: int, slot: _Slot) -> None:
        """After a finish: on states that are ahead of its schedule."""
        assert slot.best is not None
        best = slot.best[0]
        slot.greed = max(best / max(slot.first, 1.0), 1.0)
        nodes = np.array([node for _, node in slot.heap], np.int64)
        frames, left = self._floats[at, nodes, _FRAME], self._left[at, nodes]
        good = frames + self._effort.bound * left < best
        totals = (frames + slot.greed * left)[good]
        slot.heap = list(zip(totals.tolist(), nodes[good].tolist(), strict=True))
        heapq.heapify(slot.heap)

    def _keep(
        self,
        floats: np.ndarray,
        smalls: np.ndarray,
        owners: np.ndarray,
        parents: np.ndarray,
        actions: np.ndarray,
    ) -> None:
        """Put new states into the pool and the heaps, unless they are known or hopeless."""
        keys = self._keys(floats, smalls, owners)
        frames = floats[:, _FRAME]
        left = self._frames_left(floats, smalls, owners)
        greed = np.array([slot.greed if slot is not None else 0.0 for slot in self._slots])
        totals = frames + greed[owners] * left
        for row, (key, at, frame, total) in enumerate(
            zip(keys.tolist(), owners.tolist(), frames.tolist(), totals.tolist(), strict=True)
        ):
            slot = self._slots[at]
            assert slot is not None
            known = slot.seen.get(key)
            if (known is not None and known <= frame) or frame >= self._effort.longest:
                continue
            if slot.best is not None and frame + self._effort.bound * left[row] >= slot.best[0]:
                continue
            if slot.count == self._room:
                continue
            slot.seen[key] = frame
            node = slot.count
            slot.count += 1
            self._floats[at, node], self._smalls[at, node] = floats[row], smalls[row]
            self._parent[at, node], self._action[at, node] = parents[row], actions[row]
            self._left[at, node] = left[row]
            heapq.heappush(slot.heap, (total, node))

    def _keys(self, floats: np.ndarray, smalls: np.ndarray, owners: np.ndarray) -> np.ndarray:
        """Equal for states that hardly differ."""
        measured = np.round(floats[:, _MEASURED] / _ALIKE)
        parts = np.concatenate([measured.astype(np.int64), smalls[:, self._telling]], -1)
        mix = self._mix[: parts.shape[1]]
        key = (parts.astype(np.uint64) * mix).sum(-1, dtype=np.uint64)
        return key ^ (key >> np.uint64(29))

    def _frames_left(
        self, floats: np.ndarray, smalls: np.ndarray, owners: np.ndarray
    ) -> np.ndarray:
        doors = smalls[:, _ACTIVE + 1 : _ACTIVE + 1 + self._effort.doors].astype(np.int64)
        stage = 2 * (doors << np.arange(self._effort.doors)).sum(-1) + smalls[:, _ACTIVE]
        lift = lift_of(
            floats[:, _MEASURED[3]],
            smalls[:, _SMALL["airborne"]] > 0,
            smalls[:, _SMALL["walled"]] > 0,
            smalls[:, 0] == JUMPING,
        )
        left = np.empty(len(floats), np.float32)
        column, row = np.round(floats[:, _MEASURED[:2]] / 12).astype(np.int64).T
        for at in np.unique(owners):
            slot = self._slots[at]
            assert slot is not None
            mine = owners == at
            left[mine] = slot.estimate[stage[mine], lift[mine], row[mine], column[mine]]
        return left

    def _finished(self, at: int) -> tuple[int, Map, Proof | None] | None:
        """What has come out for a slot, if its search is over; the slot is then free."""
        slot = self._slots[at]
        assert slot is not None
        if slot.heap and slot.expanded < slot.stop:
            return None
        proof = None
        if slot.best is not None:
            frames, node, action = slot.best
            actions = [action]
            while node:
                actions.append(int(self._action[at, node]))
                node = int(self._parent[at, node])
            path = np.repeat(actions[::-1], SKIP)[: int(frames)]
            proof = Proof(HORIZONTAL[path], JUMP[path])
        self._slots[at] = None
        return slot.number, slot.level, proof
