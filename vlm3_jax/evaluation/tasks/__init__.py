"""How each task is evaluated, a file a task."""

from vlm3_jax.data.sampling import Task
from vlm3_jax.evaluation.judging import Judge
from vlm3_jax.evaluation.tasks.correspondence import CorrespondenceJudge
from vlm3_jax.evaluation.tasks.depth import DepthJudge
from vlm3_jax.evaluation.tasks.objects import ObjectsJudge
from vlm3_jax.evaluation.tasks.pose import PoseJudge

JUDGES: dict[Task, Judge] = {
    "depth": DepthJudge(),
    "correspondence": CorrespondenceJudge(),
    "pose": PoseJudge(),
    "objects": ObjectsJudge(),
}

__all__ = ["JUDGES", "CorrespondenceJudge", "DepthJudge", "ObjectsJudge", "PoseJudge"]
