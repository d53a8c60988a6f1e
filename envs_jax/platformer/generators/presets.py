"""All sizes of all families: what each preset of each family draws from."""

from typing import Any

from envs_jax.platformer.generators.chambers import MultiChamber, SingleChamber
from envs_jax.platformer.generators.corridors import (
    Corridors,
    HorizontalCorridor,
    VerticalCorridor,
)
from envs_jax.platformer.generators.gaps import Islands, JumpPlatforms, JumpRequired
from envs_jax.platformer.generators.hills import Hills
from envs_jax.platformer.generators.mazes import Maze, MineMaze

__all__ = ["FAMILIES"]

_ALL_SLOPES = ("straight", "mild", "steep", "round", "hollow", "step")

FAMILIES: dict[str, dict[str, Any]] = {
    "maze": {
        "tiny": Maze(columns=(3, 4), rows=(2, 3), cell=(1, 2)),
        "small": Maze(columns=(4, 7), rows=(3, 5), cell=(1, 3)),
        "medium": Maze(columns=(6, 10), rows=(4, 6), cell=(1, 3), loops=0.1, locked=(0, 1)),
        "large": Maze(columns=(9, 14), rows=(5, 8), cell=(1, 3), loops=0.1, locked=(0, 2)),
        "mined": Maze(columns=(6, 10), rows=(3, 5), cell=(2, 3), loops=0.1, mines=(4, 10)),
    },
    "jump_required": {
        "simple": JumpRequired((12, 18), (6, 9), (2, 3), (1, 3), lift=(0, 1)),
        "few_mines": JumpRequired((12, 18), (6, 9), (2, 3), (1, 3), lift=(0, 1), is_mined=True),
        "medium": JumpRequired(
            (14, 28), (8, 12), (3, 5), (3, 7), lift=(0, 2), is_mined=True, ledge_mines=(0, 1)
        ),
        "hard": JumpRequired(
            (20, 42),
            (8, 13),
            (5, 7),
            (5, 10),
            lift=(1, 3),
            is_mined=True,
            ledge_mines=(1, 4),
            toggle_share=0.3,
        ),
    },
    "mine_maze": {
        "tiny": MineMaze((9, 14), (4, 5), spacing=(5, 6), mines=(1, 1)),
        "small": MineMaze((12, 22), (4, 6), spacing=(4, 6), mines=(1, 3)),
        "medium": MineMaze((18, 32), (5, 8), spacing=(4, 6), mines=(2, 6)),
        "large": MineMaze((30, 42), (5, 12), spacing=(3, 6), mines=(2, 10)),
    },
    "hills": {
        "gentle": Hills(hills=(1, 2), rise=(1, 2), back=0.1),
        "simple": Hills(hills=(1, 3), rise=(1, 4), kinds=("straight", "mild", "step")),
        "medium": Hills(hills=(2, 5), rise=(2, 6), kinds=_ALL_SLOPES),
        "large": Hills(hills=(3, 12), rise=(1, 6), flat=(1, 4), kinds=_ALL_SLOPES),
        "mined": Hills(hills=(2, 5), rise=(1, 5), flat=(2, 4), kinds=_ALL_SLOPES, mines=(2, 5)),
    },
    "vertical_corridor": {
        "minimal": VerticalCorridor((3, 5), (4, 5), down=0.5),
        "platforms": VerticalCorridor((4, 8), (6, 12), ledge_gap=(2, 3), ledge_width=(1, 4)),
        "few_mines": VerticalCorridor(
            (4, 7), (7, 10), ledge_gap=(2, 3), ledge_width=(1, 3), wall_mines=(1, 2)
        ),
        "bare": VerticalCorridor((2, 6), (6, 14), down=0.4),
        "tall": VerticalCorridor((3, 8), (14, 22), ledge_gap=(3, 5), down=0.4),
        "mined": VerticalCorridor(
            (5, 8),
            (10, 22),
            ledge_gap=(2, 3),
            ledge_width=(1, 3),
            wall_mines=(2, 6),
            floating_mines=(1, 4),
            toggle_share=0.3,
            down=0.4,
        ),
    },
    "horizontal_corridor": {
        "minimal": HorizontalCorridor((4, 12), (1, 3)),
        "few_mines": HorizontalCorridor((8, 14), (3, 4), mines=(1, 1)),
        "simple": HorizontalCorridor((8, 16), (2, 4), blocks=(0, 2), back=0.2),
        "long": HorizontalCorridor((16, 30), (1, 5), blocks=(0, 4), back=0.3),
        "with_mines": HorizontalCorridor((10, 18), (3, 4), mines=(1, 3), back=0.2),
        "mined": HorizontalCorridor(
            (18, 30), (3, 5), blocks=(0, 2), mines=(3, 8), toggle_share=0.3, back=0.3
        ),
    },
    "corridors": {
        "simplest": Corridors((2, 2), (5, 9), (1, 2), up=0.0),
        "simple": Corridors((2, 3), (7, 14), (2, 3), blocks=(0, 1)),
        "medium": Corridors((2, 4), (12, 24), (2, 4), blocks=(0, 2), mines=(0, 1)),
        "complex": Corridors(
            (3, 5), (16, 32), (2, 4), rock=(1, 3), blocks=(0, 2), mines=(0, 2), up=0.5
        ),
        "mined": Corridors((2, 4), (16, 30), (3, 4), mines=(1, 3), toggle_share=0.3, up=0.4),
    },
    "single_chamber": {
        "minimal": SingleChamber((4, 12), (3, 6)),
        "few_mines": SingleChamber((8, 14), (4, 6), mines=(1, 1)),
        "with_mines": SingleChamber((10, 18), (4, 6), mines=(2, 3), lift=(0, 1)),
        "simple": SingleChamber((3, 20), (3, 5), locked=0.3, back=0.2),
        "obstacle": SingleChamber(
            (10, 22), (5, 8), blocks=(1, 3), hanging=(0, 2), lift=(0, 2), locked=0.3, back=0.3
        ),
        "gap": SingleChamber(
            (10, 24), (5, 8), pits=(1, 3), blocks=(0, 1), lift=(0, 2), locked=0.3, back=0.3
        ),
        "mined": SingleChamber(
            (16, 30),
            (5, 10),
            blocks=(0, 2),
            pits=(0, 1),
            mines=(4, 8),
            toggle_share=0.3,
            lift=(0, 3),
            locked=0.2,
            back=0.4,
        ),
    },
    "multi_chamber": {
        "simple": MultiChamber((2, 2), (4, 8), (3, 5), (5, 7), doorway=(2, 3)),
        "medium": MultiChamber(
            (2, 3), (5, 12), (4, 7), (6, 10), blocks=(0, 1), mines=(0, 1), locked=(0, 1)
        ),
        "complex": MultiChamber(
            (3, 4),
            (6, 9),
            (4, 8),
            (8, 14),
            blocks=(0, 2),
            pits=(0, 1),
            mines=(0, 2),
            locked=(0, 2),
        ),
        "locked": MultiChamber(
            (3, 4), (6, 9), (4, 8), (8, 14), blocks=(0, 2), mines=(0, 1), locked=(1, 3)
        ),
    },
    "islands": {
        "simple": Islands((16, 24), (8, 11), islands=(3, 4), block=(2, 4), gap=(1, 3), climb=1),
        "medium": Islands((26, 38), (10, 15), islands=(4, 6), gap=(2, 4), more=(0, 6)),
        "large": Islands((36, 38), (12, 19), islands=(6, 9), gap=(2, 5), more=(2, 10)),
        "mined": Islands(
            (36, 38), (12, 19), islands=(5, 8), block=(2, 4), gap=(2, 4), mine_spacing=1
        ),
    },
    "jump_platforms": {
        "simple": JumpPlatforms((16, 24), (7, 10), gap=(2, 4), mine_spacing=0),
        "medium": JumpPlatforms((26, 36), (9, 14), gap=(3, 6)),
        "hard": JumpPlatforms((30, 42), (14, 23), gap=(8, 12), platform=(6, 9)),
        "mined": JumpPlatforms((30, 42), (10, 16), gap=(4, 8), platform=(2, 5), climb=2),
    },
}
