"""What acts inside the compiled update, beside learning itself."""

from rljax.control.config import CurriculumConfig, Stage
from rljax.control.curriculum import Curriculum, CurriculumState, make_curriculum

__all__ = ["Curriculum", "CurriculumConfig", "CurriculumState", "Stage", "make_curriculum"]
