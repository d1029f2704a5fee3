"""Regular expressions and globs of maintainers: what they match, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.patterns import PatternError, glob, globs, regex

NO_FOLDER = "no path of a file begins or ends with a slash; for all files of a folder write `docs/**`"


@pytest.mark.parametrize(
    ("pattern", "matched", "other"),
    [
        ("*", ["README.md", ".gitignore"], ["docs/a.md", ""]),
        ("**", ["README.md", "docs/a/b.md", ".github/x.yml"], [""]),
        ("docs/*", ["docs/a.md"], ["docs", "docs/", "docs/a/b.md", "xdocs/a.md"]),
        ("docs/**", ["docs/a.md", "docs/a/b.md"], ["docs", "a/docs/b"]),
        ("src/**/*", ["src/a.py", "src/a/b/c.py"], ["src", "lib/a.py"]),
        ("**/*.md", ["a.md", "x/y/a.md"], ["a.mdx", "a.md/b"]),
        ("src/**/test_?.py", ["src/test_a.py", "src/x/y/test_b.py"], ["src/test_ab.py", "src/test_/.py"]),
        ("{src,lib/core}/**", ["src/a", "lib/core/a/b"], ["lib/a"]),
        ("*.{js,ts{,x}}", ["a.js", "a.ts", "a.tsx"], ["a.jsx", "b/a.js"]),
        ("[a-c]*[!0-9].txt", ["axy.txt", "c-.txt"], ["d_.txt", "a1.txt", "a/.txt"]),
        ("./go.mod", ["go.mod"], ["x/go.mod"]),
        (r"\*\[x].md", ["*[x].md"], ["a[x].md"]),
        ("a+b(c).py", ["a+b(c).py"], ["aab(c).py"]),
        ("[", ["["], ["a"]),
        ("**.js", ["a.js"], ["b/a.js"]),
    ],
)
def test_a_glob_matches_whole_paths(pattern: str, matched: list[str], other: list[str]) -> None:
    """As in actions/labeler, where a leading dot is no exception."""
    fits = glob(pattern)
    assert [path for path in matched if not fits(path)] == []
    assert [path for path in other if fits(path)] == []


def test_an_exclamation_mark_excludes() -> None:
    """Whatever the order; exclusions alone mean all other paths."""
    fits = globs(["!src/docs/**", "src/**", "*.md"])
    assert [path for path in ("src/a", "src/docs/b", "c.md", "x/c.md") if fits(path)] == ["src/a", "c.md"]
    assert globs(["!docs/**"])("src/a") and not globs(["!docs/**"])("docs/a")


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("@(a|b)", "patterns such as `!(…)` and `@(…)` are not supported; write alternatives as `{a,b}`"),
        ("{1..3}", "ranges such as `{1..3}` are not supported; write `{1,2,3}`"),
        ("{a,b}" * 10, "its braces stand for more than 1,000 globs"),
        ("./", "it is empty"),
        ("docs/", NO_FOLDER),
        ("/docs/**", NO_FOLDER),
        ("{src,docs/}", NO_FOLDER),
        ("a" * 10_001, "it has more than 10,000 characters"),
    ],
)
def test_a_glob_that_is_not_read_is_refused(pattern: str, reason: str) -> None:
    """With what to write instead."""
    with pytest.raises(PatternError, match=r".*") as refused:
        glob(pattern)
    assert str(refused.value) == reason


def test_a_regular_expression_is_searched_in_text_of_any_kind() -> None:
    """Case counts unless it is told not to; lone surrogates do not matter."""
    assert regex("bug")("a bug!") and not regex("bug")("a Bug!")
    assert regex("(?i)größe")("GRÖSSE GRÖßE \ud800")
    assert regex("(?m)^at start$")("It crashes\nat start\n")


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(a", "missing ): (a"),
        ("(?=a)", "invalid perl operator: (?="),
        ("a{1001}", "invalid repetition size: {1001}"),
        ("\ud800", "it has a character that UTF-8 cannot carry"),
        ("a" * 10_001, "it has more than 10,000 characters"),
    ],
)
def test_a_regular_expression_that_re2_does_not_know_is_refused(pattern: str, reason: str) -> None:
    """With RE2's reason, and nothing is printed."""
    with pytest.raises(PatternError, match=r".*") as refused:
        regex(pattern)
    assert str(refused.value) == reason


@given(st.text(max_size=60))
def test_any_text_is_a_pattern_or_refused(pattern: str) -> None:
    """Never another failure."""
    for read in (regex, glob):
        try:
            read(pattern)("some text/with a path")
        except PatternError:
            continue


def test_time_does_not_explode() -> None:
    """Patterns that take a backtracking matcher years."""
    assert not regex("(a*)*b")("a" * 200_000)
    assert not glob("*a" * 50 + "b")("a" * 200_000)
