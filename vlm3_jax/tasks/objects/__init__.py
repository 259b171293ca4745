"""Relations and sizes of objects, named by their boxes in text (VLM3, after SpatialRGPT)."""

from vlm3_jax.tasks.objects.answers import format_direction, format_length, parse_answer
from vlm3_jax.tasks.objects.boxes import box_text, name_regions
from vlm3_jax.tasks.objects.families import MARGIN, Object, ask, facts, lift
from vlm3_jax.tasks.objects.questions import CATEGORIES, Question, from_record, prompt, qa_type
from vlm3_jax.tasks.objects.scoring import ObjectsScore, Verdict, by_rules, score, summarize

__all__ = [
    "CATEGORIES",
    "MARGIN",
    "Object",
    "ObjectsScore",
    "Question",
    "Verdict",
    "ask",
    "box_text",
    "by_rules",
    "facts",
    "format_direction",
    "format_length",
    "from_record",
    "lift",
    "name_regions",
    "parse_answer",
    "prompt",
    "qa_type",
    "score",
    "summarize",
]
