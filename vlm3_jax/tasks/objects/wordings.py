"""Wordings of the questions that are made from boxes and depth; the first of each is plain."""

PHRASES = {
    "left": "to the left of",
    "right": "to the right of",
    "above": "above",
    "below": "below",
    "front": "in front of",
    "behind": "behind",
    "big": "bigger than",
    "small": "smaller than",
    "tall": "taller than",
    "short": "shorter than",
    "wide": "wider than",
    "thin": "thinner than",
}
PREDICATE_QUESTIONS = (
    "Is {a} {phrase} {b}?",
    "Can you confirm if {a} is {phrase} {b}?",
    "Would you say that {a} is {phrase} {b}?",
)
YES = "Yes, {a} is {phrase} {b}."
NO = "No, {a} is not {phrase} {b}."

COMPARATIVES = {
    "left": "more to the left",
    "right": "more to the right",
    "above": "higher up",
    "below": "lower down",
    "tall": "taller",
    "short": "shorter",
}
CHOICE_QUESTIONS = (
    "Which is {phrase}, {a} or {b}?",
    "Between {a} and {b}, which one is {phrase}?",
    "Of {a} and {b}, name the one that is {phrase}.",
)
CHOICE_ANSWER = "{chosen} is {phrase}."

LENGTH_QUESTIONS = {
    "distance_data": (
        "What is the distance between {a} and {b}?",
        "How far is {a} from {b}?",
        "Measure the distance from {a} to {b}.",
    ),
    "horizontal_distance_data": (
        "What is the horizontal distance between {a} and {b}?",
        "How far is {a} from {b} horizontally?",
        "Measure the horizontal distance from {a} to {b}.",
    ),
    "vertical_distance_data": (
        "What is the vertical distance between {a} and {b}?",
        "How far is {a} from {b} vertically?",
        "Measure the vertical distance from {a} to {b}.",
    ),
    "width_data": (
        "What is the width of {a}?",
        "How wide is {a}?",
        "Measure the width of {a}.",
    ),
    "height_data": (
        "What is the height of {a}?",
        "How tall is {a}?",
        "Measure the height of {a}.",
    ),
}
LENGTH_ANSWERS = {
    "distance_data": "The distance between {a} and {b} is {value}.",
    "horizontal_distance_data": "The horizontal distance between {a} and {b} is {value}.",
    "vertical_distance_data": "The vertical distance between {a} and {b} is {value}.",
    "width_data": "The width of {a} is {value}.",
    "height_data": "The height of {a} is {value}.",
}

DIRECTION_QUESTIONS = (
    "If you are at {a}, where will you find {b}?",
    "Standing at {a} and looking the way the camera looks, at which hour of a clock is {b}?",
    "In which clock direction does {b} lie from {a}?",
)
DIRECTION_ANSWER = "{b} is at {value} from {a}."
