"""Issues that give nothing to judge a label by: they get none, and the reason in words."""

from __future__ import annotations

import html
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.live import Step
from tests.sample import Trained
from triage.backfill.plan import entry_of
from triage.bundle.model import ServingModel
from triage.bundle.open import open_serving
from triage.config import Config, EncoderConfig, LabelsConfig, ZeroShotConfig
from triage.decide import Decision, Evidence, Neighbour, Policy, Recorded, Rules, case_of, decide
from triage.decide.rules import UNFAMILIAR, LabelRule, ZeroShotRule, elect
from triage.issue import Issue
from triage.reports.label_report import terminal
from triage.text import NOTHING, language, says_nothing

TEMPLATE = """**Describe the bug**
A clear and concise description of what the bug is.

**To Reproduce**
Steps to reproduce the behavior:
1. Go to '...'
2. Click on '....'
4. See error

**Desktop (please complete the following information):**
 - OS: [e.g. iOS]
 - Version [e.g. 22]

**Additional context**
Add any other context about the problem here."""
FORM = "### What happened\n\n_No response_\n\n### Version\n\n1.2.3\n\n### System\n\nLinux"
# Title and body.
BLANK = (
    (".", ""),
    ("test", ""),
    ("Testing 123", "please ignore"),
    ("asdfgh", "asdf"),
    ("sdfsdf", "qwe jkl; aaaa"),
    ("[BUG]", FORM),
    ("Bug report", TEMPLATE),
    ("bug", TEMPLATE.replace("\n", "\r\n")),
    ("🚀🚀🚀", "🎉"),
    ("你好", "谢谢"),
    ("こんにちは", "ありがとうございます"),
    ("안녕하세요", "감사합니다"),
    ("Hello everyone!", "Thanks, good morning :)"),
    ("hola", "gracias"),
    ("Help!!!", "I need help please"),
    ("Question", "I have a question"),
    ("Issue", "https://example.com/a/path/with/words and www.example.org"),
    ("[Bug]: ", "![image of a crash](https://example.com/screenshot.png)"),
    ("it does not work", "- [x] I have searched the existing issues\n<!-- describe it -->"),
    ("2024", "???"),
    ("Hi @maintainer", "someone@example.com"),
    ("Crash", ""),
)
TELLING = (
    ("Crash on startup", ""),
    ("Dark mode", ""),
    ("Tests fail", ""),
    (".", "The application crashes when I open a file"),
    ("[BUG]", "### What happened\n\nThe upload stops\n\n### Version\n\n_No response_"),
    (
        "bug",
        TEMPLATE.replace("A clear and concise description of what the bug is.", "Uploads stop half way."),
    ),
    ("不能用", "点击保存按钮后程序崩溃"),
    ("Question", "How do I mount a volume?"),
)
ENGLISH = (
    "The application crashes on startup\nAfter the update I cannot open the program: a file was not found.",
    "NullPointerException in FooBarHandler.java\nat com.example.de.la.Main(Main.java:12)",
    "Add a German translation\nThe menu should say „Datei öffnen“ there.",
    "x/sys/unix: update to syscall\ngithub.com github.com github.com",
)
FOREIGN = {
    "German": "Die Anwendung stürzt beim Start ab\nNach dem Update kann ich das Programm nicht mehr öffnen.",
    "French": "L'application plante\nDepuis la mise à jour je ne peux pas ouvrir le programme, et ce n'est pas tout.",
    "Spanish": "La aplicación se cierra\nDespués de actualizar ya no puedo abrir el programa porque no se encontró.",
    "Turkish": "Uygulama açılışta çöküyor\nYeni sürüme güncelledikten sonra programı açamıyorum, bir hata görünüyor.",  # noqa: RUF001
    "Cyrillic script": "Приложение падает при запуске\nПосле обновления не могу открыть программу.",  # noqa: RUF001
    "Chinese": "应用程序启动时崩溃\nTraceback (most recent call last): File main.py, line 3",
    "Japanese": "起動時にアプリがクラッシュする\n更新した後、プログラムを開けません。",
    "Korean": "시작할 때 앱이 충돌합니다\n업데이트한 후 프로그램을 열 수 없습니다.",
    "Arabic script": "التطبيق يتعطل عند بدء التشغيل",
}


class Unasked:
    """A model that must not be asked about any issue."""

    rules, name = Rules(languages=()), "unasked"

    def evidence(self, issues: Sequence[Issue], /) -> list[Evidence]:
        """Nothing, on no issue."""
        assert not issues
        return []


def only(issue: Issue, model: ServingModel | Recorded | Unasked) -> Decision:
    """The decision on one issue."""
    [decision] = decide([case_of(issue)], model, Policy())
    return decision


@pytest.mark.parametrize(("title", "body"), BLANK)
def test_an_issue_that_says_nothing_gets_no_label_and_no_engine_is_asked(title: str, body: str) -> None:
    """Forms, greetings, tests, pictures, addresses and keys pressed at random; and the decision says so."""
    decision = only(Issue("o/r", 1, title, body), Unasked())
    assert (decision.labels, dict(decision.scores), decision.unjudged) == ((), {}, NOTHING)
    assert decision.abstained
    assert decision.to_dict()["reason"] == NOTHING
    assert f"no label, since {NOTHING}" in terminal(title, decision)
    assert entry_of(Issue("o/r", 1, title, body), decision, (), None).unjudged == NOTHING


@pytest.mark.parametrize(("title", "body"), TELLING)
def test_a_few_words_are_enough_to_be_judged_by(title: str, body: str) -> None:
    """In the title or in the body."""
    assert not says_nothing(title, body)


@given(st.text(), st.text())
def test_any_text_says_something_or_nothing(title: str, body: str) -> None:
    """Whatever its characters are; more text never says less."""
    if not says_nothing(title, ""):
        assert not says_nothing(title, body)
    language(f"{title}\n{body}")


@pytest.mark.parametrize("text", ENGLISH)
def test_english_with_code_or_foreign_words_is_english(text: str) -> None:
    """Names, addresses and a quotation are no other language."""
    assert language(text) == ""


@pytest.mark.parametrize(("name", "text"), FOREIGN.items())
def test_an_issue_in_a_language_that_is_not_known_gets_no_label(name: str, text: str) -> None:
    """No engine is asked, and the reason names the language; where it was learnt, it is judged."""
    title, _, body = text.partition("\n")
    issue = Issue("o/r", 1, title, body)
    assert only(issue, Unasked()).unjudged == (
        f"it is in {name}, which the encoder does not know, and too few issues in that language were learnt"
    )
    for known in ((name,), ("*",)):
        knowing = Recorded(Rules(languages=known), {issue.key: Evidence(issue.key)})
        assert only(issue, knowing).unjudged == ""


def test_a_model_of_the_users_choice_is_asked_in_any_language() -> None:
    """Only triage's own models are known to read English alone."""
    assert Config().languages == ()
    assert Config(encoder=EncoderConfig(model="intfloat/multilingual-e5-small")).languages == ("*",)
    assert Config(zero_shot=ZeroShotConfig(model="a/folder")).languages == ("*",)
    assert Config(zero_shot=ZeroShotConfig(model="embedding")).languages == ()


def test_what_was_learnt_says_in_which_languages_and_how_close_an_issue_must_be(
    model: ServingModel,
) -> None:
    """The sample has single issues in other languages: too few to learn them."""
    assert model.rules.languages == ()
    assert 0.1 < model.rules.closest < 0.7
    assert only(Issue("o/r", 1, "FooBarHandler", "const x = getUserById(7)"), model).unjudged == UNFAMILIAR


def strange(rules: Rules, closest: float, raw: float) -> tuple[dict[str, str], str]:
    """What elects labels of an issue next to a bug, and why nothing does."""
    near = (Neighbour("o/r", 1, 0.9, ("bug",)),)
    evidence = Evidence(("o/r", 9), near, {"bug": 1.0}, {"bug": 1.0}, {"web": raw}, closest)
    sources, _ = elect(rules, evidence)
    return sources, only(Issue("o/r", 9, "Lost in space"), Recorded(rules, {("o/r", 9): evidence})).unjudged


def test_an_issue_that_resembles_nothing_known_gets_a_label_only_if_its_description_stands_out() -> None:
    """Neither the vote nor a description that is merely close sets one."""
    labels = LabelRule("bug", 50, 0.2, 1.0), LabelRule("web", 3, 0.1, None)
    rules = Rules(k=1, labels=labels, zero_shot=ZeroShotRule(1.0, 0.0, 0.5, None), closest=0.3)
    assert strange(rules, 0.4, -9.0) == ({"bug": "neighbours"}, "")
    assert strange(rules, 0.2, 0.5) == ({}, UNFAMILIAR)
    assert strange(rules, 0.2, 9.0) == ({"web": "zero-shot"}, "")


def test_before_anything_is_learnt_an_issue_that_says_nothing_gets_the_abstain_label_alone(
    step: Step, trained: Trained
) -> None:
    """And the summary and the log say why; with a bundle it is the same."""
    step.repository.add_label("unclear")
    step.configure("labels: {abstain: unclear, descriptions: {bug: It is broken}}")
    for store in ((), (f"--store={trained.folder}",)):
        issue = step.repository.add_issue("[BUG]", FORM, "newcomer")
        step.happen(issue)
        assert step.run("label", *store) == 0
        assert issue.label_names == ["unclear"]
        assert f"#{issue.number}: no label\n  no label, since {NOTHING}\n" in step.out
        assert f"I{NOTHING[1:]}." in html.unescape(step.summary)


def test_descriptions_alone_judge_english_issues_alone() -> None:
    """As long as the models are triage's own."""
    config = Config(labels=LabelsConfig(descriptions={"bug": "Something is broken", "docs": "The manual"}))
    model = open_serving(config, None)
    for name, text in FOREIGN.items():
        title, _, body = text.partition("\n")
        assert f"it is in {name}" in only(Issue("o/r", 1, title, body), model).unjudged
    assert only(Issue("o/r", 1, "Crash on startup", ENGLISH[0]), model).to_dict()["reason"] == ""


OFF_TOPIC = (
    ("Best sourdough recipe??", "My starter smells and the loaf stays flat. How long should I wait?"),
    ("Apartment for rent", "Two rooms, balcony, near the station, no pets"),
    ("Who won the match yesterday?", "I missed the second half."),
    ("Lost cat", "Grey cat lost near the park last Sunday, answers to Mimi"),
    ("Poem about autumn", "Leaves fall softly on the ground"),
)


@pytest.mark.real_models
@pytest.mark.parametrize(("title", "body"), OFF_TOPIC)
def test_what_is_about_something_else_altogether_gets_no_label(
    model: ServingModel, title: str, body: str
) -> None:
    """Neighbours under the head may agree on it: they share labels, not the subject."""
    decision = only(Issue("lanternfish-io/ferry", 5001, title, body), model)
    assert (decision.labels, decision.unjudged) == ((), UNFAMILIAR)
