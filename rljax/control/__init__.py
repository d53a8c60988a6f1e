"""What acts inside the compiled update, beside learning itself."""

from rljax.control.config import CurriculumConfig, Stage
from rljax.control.counting import CurriculumState
from rljax.control.curriculum import Curriculum, make_curriculum

__all__ = ["Curriculum", "CurriculumConfig", "CurriculumState", "Stage", "make_curriculum"]
