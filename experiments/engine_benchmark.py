"""Time the quadruped's engine beside MuJoCo: ``python experiments/engine_benchmark.py``."""

from __future__ import annotations

import functools
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.cli import OK, Parser, command, numbers, positive, print_table

_DT, _SUBSTEPS, _STEPS = 0.004, 5, 25
_GROUNDS = ("flat", "height map")
_BODIES = ("feet", "whole body")

_HELP = """Time control steps of a quadruped (5 x 4 ms): our engine, C MuJoCo, MJX.

  engine_benchmark.py                          ours alone
  engine_benchmark.py --forms                  both of its forms: phases apart (CPU) and fused (GPU)
  engine_benchmark.py --mujoco --mjx           beside others (extra mujoco, package mujoco-mjx)

Robots hold their home pose with random disturbances, on flat ground or on a height map of 1600 x
1600 nodes 5 cm apart (100 x 100 for the others). Seconds are of processor time, all threads
counted, on a CPU and of wall clock on an accelerator; compiling is apart.
"""


def _parser() -> Parser:
    parser = Parser(_HELP)
    add = parser.add_argument
    add("--num-envs", type=numbers, metavar="B,...", default=[1024])
    add("--ground", choices=_GROUNDS, help="default: each")
    add("--body", choices=_BODIES, help="of ours, what touches the ground; default: each")
    add("--forms", action="store_true", help="also the form for the other kind of device")
    add("--mujoco", action="store_true", help="also C MuJoCo, one thread")
    add("--mjx", action="store_true", help="also MJX, its JAX implementation")
    add("--repeat", type=positive, metavar="N", default=5, help="timings, of which the median")
    add("--json", action="store_true", help="print the result as one line of JSON")
    return parser


@command
def main(argv: list[str]) -> int:
    """Do what the command line says; return the exit code."""
    options = _parser().parse_args(argv)
    from rljax.core.runtime import prepare

    prepare(cache_dir="")  # compiling is measured, too
    import jax

    on_cpu = jax.default_backend() == "cpu"
    clock = _processor if on_cpu else time.perf_counter
    forms: dict[str, bool | None] = {"": None}
    if options.forms:
        forms[" fused" if on_cpu else " apart"] = not on_cpu
    grounds = [options.ground] if options.ground else _GROUNDS
    bodies = [options.body] if options.body else _BODIES
    rows = []
    for batch in options.num_envs:
        for ground in grounds:
            for body in bodies:
                for form, apart in forms.items():
                    ours = functools.partial(_ours, whole_body=body != "feet", apart=apart)
                    name = f"ours{form}, {body}"
                    rows.append(_time(name, ground, batch, ours, options.repeat, clock))
            if options.mjx:
                few = min(batch, 256)
                rows.append(_time("MJX, feet", ground, few, _mjx, options.repeat, clock))
    if options.mujoco:
        for ground in grounds:
            rows.append(_time("C MuJoCo, feet", ground, 1, _mujoco, options.repeat, _processor))
    if options.json:
        print(json.dumps(rows))
    else:
        columns = list(rows[0])
        print_table(columns, [[str(row[name]) for name in columns] for row in rows])
    return OK


def _time(
    engine: str,
    ground: str,
    batch: int,
    make: Callable[[str, int], tuple[Callable[[], Any], float]],
    repeat: int,
    clock: Callable[[], float],
) -> dict[str, Any]:
    """Steps of `batch` robots; ``make`` gives what runs `_STEPS` of them and seconds to compile."""
    print(f"timing {engine} on {ground}", file=sys.stderr, flush=True)
    run, compile_s = make(ground, batch)
    run()
    costs = []
    for _ in range(repeat):
        before = clock()
        run()
        costs.append((clock() - before) / (_STEPS * batch))
    cost = statistics.median(costs)
    return {
        "engine": engine,
        "ground": ground,
        "robots": batch,
        "compile s": round(compile_s, 1),
        "clock": "processor" if clock is _processor else "wall",
        "us/step": round(cost * 1e6, 3),
        "steps/s": round(1 / cost),
    }


def _heights(nodes: int) -> Any:
    from envs_jax.quadruped.heights import HeightMap

    heights = 0.03 * np.random.default_rng(0).random((nodes, nodes)).astype(np.float32)
    middle = np.full(2, -0.025 * nodes, np.float32)
    return HeightMap(heights, np.float32(0.05), middle)


def _ours(
    ground: str, batch: int, *, whole_body: bool, apart: bool | None
) -> tuple[Callable[[], Any], float]:
    import jax
    import jax.numpy as jnp

    from envs_jax.quadruped.engine import Body, simulate
    from envs_jax.quadruped.robot import make_robot

    robot = jax.tree.map(jnp.asarray, make_robot())
    surface = jax.tree.map(jnp.asarray, _heights(1600)) if ground != "flat" else None

    def start(key: Any) -> Any:
        place = jax.random.uniform(key, (2,), minval=-30.0, maxval=30.0)
        return Body(
            position=jnp.append(place, robot.height + 0.03),
            quaternion=jnp.array([1.0, 0.0, 0.0, 0.0]),
            velocity=jnp.zeros(3),
            spin=jnp.zeros(3),
            angles=robot.home,
            speeds=jnp.zeros((4, 3)),
        )

    def step(bodies: Any, key: Any) -> tuple[Any, None]:
        targets = robot.home + 0.2 * jax.random.normal(key, (batch, 4, 3))

        def one(body: Any, target: Any) -> Any:
            return simulate(
                body,
                target,
                robot,
                surface,
                _DT,
                _SUBSTEPS,
                whole_body=whole_body,
                apart=apart,
            )[0]

        return jax.vmap(one)(bodies, targets), None

    bodies = jax.vmap(start)(jax.random.split(jax.random.key(0), batch))
    keys = jax.random.split(jax.random.key(1), _STEPS)
    return _compiled(lambda b: jax.lax.scan(step, b, keys)[0], bodies)


def _mjx(ground: str, batch: int) -> tuple[Callable[[], Any], float]:
    try:
        from mujoco import mjx
    except ImportError:
        raise _missing("MJX", "mujoco-mjx") from None
    import jax
    import jax.numpy as jnp

    model, standing = _playground_model(ground)
    device = mjx.put_model(model)
    home = jnp.asarray(standing.ctrl)
    data = mjx.make_data(device).replace(qpos=jnp.asarray(standing.qpos), ctrl=home)
    many = jax.tree.map(lambda x: jnp.broadcast_to(x, (batch, *x.shape)), data)

    def step(many: Any, key: Any) -> tuple[Any, None]:
        many = many.replace(ctrl=home + 0.2 * jax.random.normal(key, (batch, 12)))

        def inner(_: Any, d: Any) -> Any:
            return jax.vmap(lambda one: mjx.step(device, one))(d)

        return jax.lax.fori_loop(0, _SUBSTEPS, inner, many), None

    keys = jax.random.split(jax.random.key(1), _STEPS)
    return _compiled(lambda d: jax.lax.scan(step, d, keys)[0], many)


def _mujoco(ground: str, batch: int) -> tuple[Callable[[], Any], float]:
    try:
        import mujoco
    except ImportError:
        raise _missing("MuJoCo", "mujoco") from None
    model, data = _playground_model(ground)
    home = data.ctrl.copy()
    rng = np.random.default_rng(0)

    def run() -> None:
        for _ in range(_STEPS):
            data.ctrl[:] = home + 0.2 * rng.normal(size=12)
            mujoco.mj_step(model, data, _SUBSTEPS)

    return run, 0.0


def _playground_model(ground: str) -> tuple[Any, Any]:
    """Our robot in MuJoCo, with the solver settings of Playground's Go1, and where it stands."""
    import mujoco

    from envs_jax.quadruped.engine import Body
    from envs_jax.quadruped.mjcf import model_of, place
    from envs_jax.quadruped.robot import make_robot

    robot = make_robot()
    surface = _heights(100) if ground != "flat" else None
    model = model_of(robot, surface, dt=_DT, whole_body=False)
    model.opt.integrator = mujoco.mjtIntegrator.mjINT_EULER
    model.opt.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
    model.opt.impratio = 1.0
    model.opt.iterations, model.opt.ls_iterations = 1, 5
    none = np.zeros(3)
    upright, height = np.array([1.0, 0.0, 0.0, 0.0]), np.array([0.0, 0.0, robot.height + 0.03])
    body = Body(height, upright, none, none, np.asarray(robot.home), np.zeros((4, 3)))
    return model, place(model, body)


def _compiled(run: Callable[[Any], Any], start: Any) -> tuple[Callable[[], Any], float]:
    import jax

    lowered = jax.jit(run).lower(start)
    begin = time.perf_counter()
    program = lowered.compile()
    seconds = time.perf_counter() - begin
    return lambda: jax.block_until_ready(program(start)), seconds


def _missing(name: str, package: str) -> Exception:
    from rljax.core.errors import UserError

    return UserError(f"{name} is not installed: pip install {package}")


def _processor() -> float:
    """Seconds of processor time that this process has taken, all threads together."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
