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


def test_units_may_be_what_is_counted(monkeypatch, caplog):
    clock = iter([0.0, 20.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    caplog.set_level("INFO", logger="absl")
    progress.Progress(50, "questions").report(10)
    assert caplog.messages == ["10 of 50 questions, 0.5 questions/s, 80 s left"]


def test_bar_on_a_terminal(monkeypatch, capsys, caplog):
    clock = iter([0.0, 0.1, 1.0, 2.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True)
    bar = progress.Progress(12, "questions")
    for done in (1, 6, 12):
        bar.report(done)
    bar.close()
    half, whole = "#" * 15 + " " * 15, "#" * 30
    assert capsys.readouterr().err == (
        f"\r[{half}] 6 of 12 questions, 6.0 questions/s, 1 s left\x1b[K"
        f"\r[{whole}] 12 of 12 questions, 6.0 questions/s, 0 s left\x1b[K"
        "\r\x1b[K"
    )
    assert caplog.messages == []


def test_items_pass_through(monkeypatch, caplog):
    clock = iter([0.0, 0.0, 12.0, 20.0, 20.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    caplog.set_level("INFO", logger="absl")
    assert list(progress.with_progress("ab", 2, "questions")) == ["a", "b"]
    assert caplog.messages == [
        "1 of 2 questions, 0.1 questions/s, 12 s left",
        "2 questions in 20.0 s, 0.1/s",
    ]
