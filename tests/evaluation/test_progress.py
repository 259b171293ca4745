from vlm3_jax.evaluation import progress


def test_line_now_and_then(monkeypatch, caplog):
    clock = iter([0.0, 5.0, 12.0, 20.0, 24.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    caplog.set_level("INFO", logger="absl")
    line = progress.Progress(12, "views", "questions")
    for done, count in ((1, 10), (3, 30), (5, 50), (6, 60)):
        line.report(done, count)
    assert [record.getMessage() for record in caplog.records] == [
        "3 of 12 views, 30 questions, 2.5 questions/s, 36 s left",
        "6 of 12 views, 60 questions, 2.5 questions/s, 24 s left",
    ]
