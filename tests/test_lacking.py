"""No test is skipped in silence."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]
NEEDING = """
    import pytest
    from tests.lacking import lack

    def test_one(pytestconfig): lack(pytestconfig, "--offline", "npm is missing")
    def test_two(pytestconfig): lack(pytestconfig, "--offline", "npm is missing")
    def test_three(): pass
"""


def run(pytester: pytest.Pytester, text: str, *options: str) -> pytest.RunResult:
    """A run of its own of a file of tests, under the rules of this suite."""
    pytester.makepyfile(text)
    return pytester.runpytest_inprocess("-p", "tests.lacking", *options)


def test_a_test_that_lacks_something_fails(pytester: pytest.Pytester) -> None:
    """The failure says what is lacking and which flag would skip the test."""
    done = run(pytester, NEEDING)
    done.assert_outcomes(passed=1, failed=2)
    done.stdout.fnmatch_lines("npm is missing (pytest --offline would skip the tests that need it)")


@pytest.mark.parametrize("options", [(), ("--numprocesses=2",)])
def test_a_flag_skips_and_the_last_line_counts(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    """With and without workers, the last line of the run names the flag and the number of tests skipped."""
    done = run(pytester, NEEDING, "--offline", *options)
    done.assert_outcomes(passed=1, skipped=2)
    assert done.outlines[-1] == "--offline skipped 2 tests"


def test_another_flag_does_not_skip(pytester: pytest.Pytester) -> None:
    """Each flag allows the lack of its own thing alone."""
    done = run(pytester, NEEDING, "--no-browser")
    done.assert_outcomes(passed=1, failed=2)
    assert done.outlines[-1] == "--no-browser skipped 0 tests"


@pytest.mark.parametrize(
    "text",
    [
        "import pytest\n@pytest.mark.skip(reason='slow')\ndef test_one(): pass",
        "import pytest\n@pytest.mark.skipif(True, reason='slow')\ndef test_one(): pass",
        "import pytest\ndef test_one(): pytest.skip('slow')",
        "import pytest\nimport pytest; pytest.importorskip('no_such_module', reason='slow')",
    ],
)
def test_a_skip_without_a_flag_is_a_failure(pytester: pytest.Pytester, text: str) -> None:
    """Whether a mark, a call or a missing package asks for it."""
    done = run(pytester, text, "--offline")
    assert done.ret != 0
    assert "skipped, which no flag asks for: slow" in done.stdout.str()
    assert done.outlines[-1] == "--offline skipped 0 tests"
