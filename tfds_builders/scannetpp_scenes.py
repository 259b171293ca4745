"""Which scenes of ScanNet++ are held out: the lists of map-anything (mapanything/utils)."""

from collections.abc import Iterable

TEST = frozenset(
    """
    0e900bcc5c 0eba3981c9 1cbb105c6a 3c8d535d49 5d902f1593 6bd39ac392 6c14d5fd01 7c31a42404
    9bfbc75700 13b4efaf62 062e5a23a6 95b9971d01 246fe09e98 637a27d04b 725b8f0cba 413085a827
    696317583f a4c043ac48 a9e4791c7e b0b004c40f c3bc5e82c5 c31ebd4b22 cba701332a cc5ea8026c
    cec8312f4e e3b3b0d0c7 e667e09fe6 eaa6c90310 f9397af4cb fb893ffaf3
    """.split()  # noqa: SIM905 - thirty names to a block
)
VALIDATION = frozenset(
    """
    1c7a683c92 2a1b555966 3a43c7b8d2 4aef651da7 06bc6d1b24 7f22d5ef1b 7f77abce34 8ea517a2fc
    29c7afafed 41eb967018 77b40ce601 086f09d6e3 307e3262f1 639f2c4d5a 894dbd41f1 898a7dfd0c
    2779f8f9e2 151178afd7 182932a4f3 635852d56e 9906136b57 af112b8903 b0f057c684 b37177e6c8
    b119249da7 be8367fcbe c8fc01c453 e1fb8626c8 e2caaaf5b5 fe3fc057a1
    """.split()  # noqa: SIM905 - thirty names to a block
)


def splits(scenes: Iterable[str]) -> dict[str, list[str]]:
    """Divides scenes among train, validation and test, each in order; none is empty."""
    divided: dict[str, list[str]] = {}
    for scene in sorted(scenes):
        split = "test" if scene in TEST else "validation" if scene in VALIDATION else "train"
        divided.setdefault(split, []).append(scene)
    return divided
