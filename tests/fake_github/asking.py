"""What the fake's own tests ask over GraphQL, through the real PyGithub."""

from __future__ import annotations

from typing import Any

from tests.fake_github.fixtures import BOT_TOKEN
from tests.fake_github.server import FakeGitHub

ADD = """mutation($issue: ID!, $labels: [ID!]!) {
  addLabelsToLabelable(input: {labelableId: $issue, labelIds: $labels}) { labelable { __typename } } }"""
PAGE = """query($owner: String!, $name: String!, $after: String) { repository(owner: $owner, name: $name) {
  id nameWithOwner isPrivate
  issues(first: 2, after: $after, orderBy: {field: UPDATED_AT, direction: ASC}) {
    totalCount pageInfo { hasNextPage endCursor }
    nodes { id number title body state locked createdAt updatedAt author { login __typename }
      labels(first: 100) { nodes { id name } }
      userContentEdits(first: 10) { totalCount nodes { editedAt } }
      timelineItems(first: 100, itemTypes: [LABELED_EVENT, UNLABELED_EVENT, RENAMED_TITLE_EVENT]) { nodes {
        __typename
        ... on LabeledEvent { id createdAt actor { login __typename } label { id name } }
        ... on UnlabeledEvent { id actor { login } label { name } }
        ... on RenamedTitleEvent { previousTitle currentTitle } } } } } } }"""


def ask(github: FakeGitHub, query: str, token: str = BOT_TOKEN, **variables: object) -> Any:
    """The whole JSON answer to a document."""
    return github.client(token).requester.graphql_query(query, variables)[1]


def add(github: FakeGitHub, issue: str, *labels: str, token: str = BOT_TOKEN) -> Any:
    """Label by node ids."""
    return ask(github, ADD, token, issue=issue, labels=list(labels))
