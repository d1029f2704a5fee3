"""Every GraphQL document this program sends; values only ever travel as variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from triage.issue import Kind

_TIMELINE: Final = """
    pageInfo { hasNextPage endCursor }
    nodes {
      __typename
      ... on LabeledEvent { createdAt actor { __typename login } label { id name } }
      ... on UnlabeledEvent { createdAt actor { __typename login } label { id name } }
    }
"""

_PARTS: Final = f"""
    id
    number
    title
    body
    closed
    locked
    createdAt
    updatedAt
    author {{ __typename login }}
    repository {{ nameWithOwner }}
    labels(first: 100) {{ nodes {{ id name }} }}
    timelineItems(first: 100, itemTypes: [LABELED_EVENT, UNLABELED_EVENT]) {{
      {_TIMELINE}
    }}
"""

_ISSUE: Final = f"fragment IssueParts on Issue {{ __typename {_PARTS} }}"
_PULL: Final = f"fragment PullParts on PullRequest {{ __typename {_PARTS} }}"

VIEWER: Final = "query Viewer { viewer { login } }"

REPOSITORY: Final = """
query Repository($owner: String!, $name: String!) {
  repository(owner: $owner, name: $name) {
    id
    nameWithOwner
    visibility
    defaultBranchRef { name }
  }
}
"""

LABELS: Final = """
query Labels($owner: String!, $name: String!, $after: String) {
  repository(owner: $owner, name: $name) {
    labels(first: 100, after: $after, orderBy: {field: NAME, direction: ASC}) {
      pageInfo { hasNextPage endCursor }
      nodes { id name description }
    }
  }
}
"""

ISSUE: Final = f"""
query Issue($owner: String!, $name: String!, $number: Int!) {{
  repository(owner: $owner, name: $name) {{
    issueOrPullRequest(number: $number) {{ ...IssueParts ...PullParts }}
  }}
}}
{_ISSUE}
{_PULL}
"""

# GitHub counts 1 + 100 requests for each list within a page of 100, and a point for 100 requests.
PAGE_POINTS: Final = 2

_ISSUES: Final = f"""
query Issues($owner: String!, $name: String!, $first: Int!, $after: String, $filter: IssueFilters) {{
  repository(owner: $owner, name: $name) {{
    found: issues(first: $first, after: $after, filterBy: $filter,
                  orderBy: {{field: CREATED_AT, direction: DESC}}) {{
      totalCount
      pageInfo {{ hasNextPage endCursor }}
      nodes {{ ...IssueParts }}
    }}
  }}
}}
{_ISSUE}
"""

_PULL_REQUESTS: Final = f"""
query PullRequests($owner: String!, $name: String!, $first: Int!, $after: String,
                   $states: [PullRequestState!], $labels: [String!]) {{
  repository(owner: $owner, name: $name) {{
    found: pullRequests(first: $first, after: $after, states: $states, labels: $labels,
                        orderBy: {{field: CREATED_AT, direction: DESC}}) {{
      totalCount
      pageInfo {{ hasNextPage endCursor }}
      nodes {{ ...PullParts }}
    }}
  }}
}}
{_PULL}
"""

PAGES: Final[Mapping[Kind, str]] = {"issue": _ISSUES, "pull request": _PULL_REQUESTS}

COUNTS: Final = """
query Counts($owner: String!, $name: String!, $changed: IssueFilters) {
  repository(owner: $owner, name: $name) {
    labels(first: 1) { totalCount }
    issues(first: 1) { totalCount }
    changed: issues(first: 1, filterBy: $changed) { totalCount }
    pullRequests(first: 1) { totalCount }
  }
}
"""

REPOSITORIES: Final = """
query Repositories($login: String!, $after: String) {
  repositoryOwner(login: $login) {
    repositories(first: 100, after: $after, ownerAffiliations: [OWNER],
                 orderBy: {field: NAME, direction: ASC}) {
      pageInfo { hasNextPage endCursor }
      nodes { nameWithOwner visibility isFork hasIssuesEnabled }
    }
  }
}
"""

_ISSUE_NUMBERS: Final = """
query IssueNumbers($owner: String!, $name: String!, $after: String) {
  repository(owner: $owner, name: $name) {
    found: issues(first: 100, after: $after, orderBy: {field: CREATED_AT, direction: DESC}) {
      pageInfo { hasNextPage endCursor }
      nodes { number id }
    }
  }
}
"""

_PULL_REQUEST_NUMBERS: Final = """
query PullRequestNumbers($owner: String!, $name: String!, $after: String) {
  repository(owner: $owner, name: $name) {
    found: pullRequests(first: 100, after: $after, orderBy: {field: CREATED_AT, direction: DESC}) {
      pageInfo { hasNextPage endCursor }
      nodes { number id }
    }
  }
}
"""

NUMBERS: Final[Mapping[Kind, str]] = {"issue": _ISSUE_NUMBERS, "pull request": _PULL_REQUEST_NUMBERS}

MORE_EVENTS: Final = f"""
query MoreEvents($id: ID!, $after: String!) {{
  node(id: $id) {{
    ... on Issue {{
      timelineItems(first: 100, after: $after,
                    itemTypes: [LABELED_EVENT, UNLABELED_EVENT]) {{ {_TIMELINE} }}
    }}
    ... on PullRequest {{
      timelineItems(first: 100, after: $after,
                    itemTypes: [LABELED_EVENT, UNLABELED_EVENT]) {{ {_TIMELINE} }}
    }}
  }}
}}
"""

CAN_LABEL: Final = """
query CanLabel($owner: String!, $name: String!) {
  repository(owner: $owner, name: $name) {
    issues(first: 1, orderBy: {field: CREATED_AT, direction: DESC}) { nodes { viewerCanLabel } }
  }
}
"""

ADD_LABELS: Final = """
mutation AddLabels($issue: ID!, $labels: [ID!]!) {
  addLabelsToLabelable(input: {labelableId: $issue, labelIds: $labels}) { clientMutationId }
}
"""

REMOVE_LABELS: Final = """
mutation RemoveLabels($issue: ID!, $labels: [ID!]!) {
  removeLabelsFromLabelable(input: {labelableId: $issue, labelIds: $labels}) { clientMutationId }
}
"""

COMMENTS: Final = """
query Comments($id: ID!, $after: String) {
  node(id: $id) {
    ... on Issue {
      comments(first: 100, after: $after) {
        pageInfo { hasNextPage endCursor }
        nodes { id body viewerDidAuthor }
      }
    }
    ... on PullRequest {
      comments(first: 100, after: $after) {
        pageInfo { hasNextPage endCursor }
        nodes { id body viewerDidAuthor }
      }
    }
  }
}
"""

ADD_COMMENT: Final = """
mutation AddComment($issue: ID!, $body: String!) {
  addComment(input: {subjectId: $issue, body: $body}) { clientMutationId }
}
"""

EDIT_COMMENT: Final = """
mutation EditComment($comment: ID!, $body: String!) {
  updateIssueComment(input: {id: $comment, body: $body}) { clientMutationId }
}
"""
