"""Pages in a real browser, where there is one."""

import shutil
import subprocess
from pathlib import Path

import pytest

_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")


def browser() -> str:
    """The browser's command; skips the test where there is none."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip(f"needs a headless browser, one of {', '.join(_NAMES)}, on the PATH")
    return found


def run(page: Path, width: int, height: int, *flags: str) -> subprocess.CompletedProcess:
    """Opens a page in a window of a size; the console's lines are in `stderr`."""
    command = [browser(), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += ["--enable-logging=stderr", f"--window-size={width},{height}", *flags]
    return subprocess.run(
        [*command, page.absolute().as_uri()], capture_output=True, text=True, timeout=120
    )


def console(done: subprocess.CompletedProcess) -> list[str]:
    """What the page said on the console, warnings of the browser about it included."""
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def scroll_width(page: Path, width: int) -> int:
    """How wide a page is when it is shown in so many pixels."""
    # A copy that may run a script which tells it.
    copy = page.with_name("measured.html")
    html = page.read_text()
    policy = '<meta http-equiv="Content-Security-Policy"'
    assert policy in html
    script = "<script>document.title = document.documentElement.scrollWidth</script></body>"
    copy.write_text(html.replace(policy, "<meta name='policy'").replace("</body>", script))
    done = run(copy, width, 1000, "--dump-dom")
    return int(done.stdout.partition("<title>")[2].partition("</title>")[0])
