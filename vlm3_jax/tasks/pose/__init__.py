"""How the camera moved between two images, asked and answered in text (VLM3, arXiv 2605.30561)."""

from vlm3_jax.tasks.pose.answers import (
    WORD_THRESHOLD,
    format_angle,
    format_direction,
    format_distance,
    format_yaw_pitch_roll,
    parse_angle,
    parse_answer,
    parse_direction,
    parse_distance,
    parse_yaw_pitch_roll,
)
from vlm3_jax.tasks.pose.questions import Question, ask
from vlm3_jax.tasks.pose.scoring import PoseAnswer, PoseScore, auc, score
from vlm3_jax.tasks.pose.wordings import KINDS, RELEASED, WORDINGS

__all__ = [
    "KINDS",
    "RELEASED",
    "WORDINGS",
    "WORD_THRESHOLD",
    "PoseAnswer",
    "PoseScore",
    "Question",
    "ask",
    "auc",
    "format_angle",
    "format_direction",
    "format_distance",
    "format_yaw_pitch_roll",
    "parse_angle",
    "parse_answer",
    "parse_direction",
    "parse_distance",
    "parse_yaw_pitch_roll",
    "score",
]
