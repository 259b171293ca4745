"""The four questions about a pair: as released, and in wordings of our own for training."""

ANGLE, YAW_PITCH_ROLL, DIRECTION, DISTANCE = "angle", "yaw_pitch_roll", "direction", "distance"
KINDS = (ANGLE, YAW_PITCH_ROLL, DIRECTION, DISTANCE)

_CONVENTIONS = (
    "Conventions: yaw is rotation about the vertical (down) axis, positive = turn right; pitch is"
    " about the lateral (right) axis after yaw, positive = look up; roll is about the optical"
    " (forward) axis after yaw and pitch, positive = bank to the right (image content rotates"
    " clockwise from the operator's POV)."
)

# The released checkpoint was trained on exactly these bytes.
RELEASED = {
    ANGLE: (
        "Given these two images captured from different viewpoints, what is the relative rotation"
        " angle (in degrees) between the two camera poses?"
    ),
    YAW_PITCH_ROLL: (
        "Treating the first image as the reference viewpoint, describe the camera's reorientation"
        " needed to reach the second image's viewpoint as yaw, pitch and roll about the first"
        " camera's local axes, applied intrinsically in the order yaw -> pitch -> roll.  "
        + _CONVENTIONS
    ),
    DIRECTION: (
        "Where did the camera move, expressed in the first camera's local frame (X right, Y down,"
        " Z forward)?  Give a qualitative direction and the precise unit direction vector"
        " (x, y, z)."
    ),
    DISTANCE: ("Estimate the magnitude of the camera translation between the two viewpoints."),
}

_OWN = {
    ANGLE: (
        "By how many degrees is the camera of the second image rotated against that of the first?",
        "Two views of one scene are shown. State the total rotation angle between their cameras in"
        " degrees.",
        "What single rotation angle, in degrees, separates the orientations of the two cameras?",
        "Estimate the angle in degrees of the rotation that takes the first camera's orientation to"
        " the second's.",
        "How far did the camera turn between the first and the second image? Answer with the total"
        " rotation angle in degrees.",
    ),
    YAW_PITCH_ROLL: tuple(
        f"{lead} {_CONVENTIONS}"
        for lead in (
            "State the rotation from the first camera to the second as yaw, pitch and roll in"
            " degrees, applied intrinsically in this order.",
            "The camera is turned from the first image's viewpoint to the second's. Give yaw,"
            " pitch and roll about the first camera's axes, intrinsic, in this order, in degrees.",
            "Which yaw, then pitch, then roll (degrees, intrinsic) turn the camera of the first"
            " image into the orientation of the second?",
            "Decompose the change of orientation between the two views into intrinsic yaw, pitch"
            " and roll angles of the camera, in degrees.",
            "Starting from the first view, by which angles must the camera yaw, pitch and roll, one"
            " after the other about its own axes, to look as in the second view?",
        )
    ),
    DIRECTION: (
        "In which direction is the second camera's centre, seen in the first camera's frame"
        " (X right, Y down, Z forward)? Name the direction in words and as a unit vector"
        " (x, y, z).",
        "Describe the camera's movement from the first image to the second in the first camera's"
        " axes (X right, Y down, Z forward), in words and as a unit vector (x, y, z).",
        "Towards where was the camera moved between the two images? Use the first camera's frame,"
        " X right, Y down, Z forward; answer in words and with the unit vector (x, y, z).",
        "Give the direction of the translation from the first to the second camera position,"
        " qualitatively and as a unit vector (x, y, z) in the first camera's frame (X right, Y"
        " down, Z forward).",
        "The camera travels from the first viewpoint to the second. Which way does it go in the"
        " first camera's coordinates (X right, Y down, Z forward)? Words first, then the unit"
        " vector (x, y, z).",
    ),
    DISTANCE: (
        "How far apart, in meters, are the two positions of the camera?",
        "What is the distance between the first and the second camera centre in meters?",
        "Estimate how many meters the camera moved between the two images.",
        "State the length of the camera's translation from the first view to the second, in"
        " meters.",
        "By what distance, in meters, was the camera displaced between these two images?",
    ),
}

WORDINGS = {kind: (RELEASED[kind], *_OWN[kind]) for kind in KINDS}
