"""All that is asked of GitHub, and all that is changed there: labels are only ever added, by id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from triage.errors import AccessError
from triage.github import queries
from triage.github.errors import IssueGone, LabelGone, NotFound, Overloaded, Rejected
from triage.github.git_objects import GitData
from triage.github.issues import READ, IssueReader
from triage.github.response import Purpose
from triage.github.typed_json import TypedJson
from triage.github.values import Label, next_cursor

WRITE = "`issues: write`"


@dataclass(frozen=True)
class Permissions:
    """What the token may do in the repository; None where GitHub gives no sign of it."""

    read_issues: bool
    write_labels: bool | None
    read_contents: bool
    write_contents: bool | None


class Tracker(IssueReader, GitData):
    """Everything that is asked of GitHub. Nothing here decides; every failure is a TriageError."""

    def add_labels(self, node_id: str, label_ids: Sequence[str]) -> None:
        """Set labels beside those that are there. Raises IssueGone, LabelGone; ValueError for no label."""
        if not label_ids:
            raise ValueError("a request to set no labels must not be sent")
        self._relabel(queries.ADD_LABELS, "add labels", node_id, label_ids)

    def remove_label(self, node_id: str, label_id: str) -> None:
        """Take one label away; for the abstain label and for what is undone."""
        self._relabel(queries.REMOVE_LABELS, "take a label away", node_id, [label_id])

    def create_label(self, name: str, color: str, description: str) -> Label:
        """A new label, `color` as six hexadecimal digits; one of that name that is there already is kept."""
        body = {"name": name, "color": color, "description": description}
        purpose = self._purpose("create a label", WRITE)
        try:
            made = self._http.send("POST", self._path("/labels"), body, purpose)
        except Rejected:
            there = {key.casefold(): label for key, label in self.labels().items()}
            if name.casefold() not in there:
                raise
            return there[name.casefold()]
        found = TypedJson(made)
        return Label(found.text("node_id"), found.text("name"), found.words("description"))

    def put_comment(self, node_id: str, marker: str, body: str) -> None:
        """The token's one comment under `marker` on an issue: written, or brought up to date in place.

        `marker` is hidden in the comment; it holds neither `--` nor `>`.
        """
        text = f"<!-- {marker} -->\n{body}"
        purpose = self._purpose("write a comment", WRITE, repeatable=False)
        try:
            self._put_comment(node_id, text, purpose)
        except Overloaded:
            # It may have been written: looked for once more, and only then written again.
            self._put_comment(node_id, text, purpose)

    def permissions(self) -> Permissions:
        """What the token may do, found out without writing anything."""
        purpose = self._purpose("read the repository", "`metadata: read`")
        granted = TypedJson(self._http.get(self._path(""), purpose)).maybe("permissions")
        read_issues, write_labels = self._may_issues()
        return Permissions(
            read_issues=read_issues,
            write_labels=write_labels,
            read_contents=self._may_read_contents(),
            write_contents=granted.flag("push") if granted else None,
        )

    def _may_issues(self) -> tuple[bool, bool | None]:
        try:
            newest = self._ask(queries.CAN_LABEL, "list issues", READ).at("issues").items("nodes")
        except AccessError:
            return False, False
        # GitHub tells it of an issue alone: nothing is known while there is none.
        return True, next((issue.flag("viewerCanLabel") for issue in newest), None)

    def _may_read_contents(self) -> bool:
        try:
            self.read_ref(f"refs/heads/{self.repository.default_branch or 'main'}")
        except AccessError:
            return False
        return True

    def _relabel(self, document: str, doing: str, node_id: str, label_ids: Sequence[str]) -> None:
        """Setting and taking away what is so already changes nothing: both may be sent twice."""
        variables = {"issue": node_id, "labels": list(label_ids)}
        try:
            self._http.graphql(document, variables, self._purpose(doing, WRITE))
        except NotFound as missing:
            if any(f"'{label}'" in missing.what for label in label_ids):
                raise LabelGone(missing.what, likely="a label was deleted") from None
            raise IssueGone(missing.what, likely="the issue was deleted or transferred") from None

    def _put_comment(self, node_id: str, text: str, purpose: Purpose) -> None:
        mark, _, _ = text.partition("\n")
        mine = next((c for c in self._comments(node_id) if c.text("body").startswith(mark)), None)
        if mine is None:
            self._http.graphql(queries.ADD_COMMENT, {"issue": node_id, "body": text}, purpose)
        elif mine.text("body") != text:
            self._http.graphql(queries.EDIT_COMMENT, {"comment": mine.text("id"), "body": text}, purpose)

    def _comments(self, node_id: str) -> Iterator[TypedJson]:
        """The token's own comments on an issue."""
        after: str | None = ""
        while after is not None:
            variables = {"id": node_id, "after": after or None}
            found = self._http.graphql(queries.COMMENTS, variables, self._purpose("read comments", READ))
            page = found.at("node").at("comments")
            yield from (comment for comment in page.items("nodes") if comment.flag("viewerDidAuthor"))
            after = next_cursor(page)
