"""REST over a repository's files and git objects: contents, blobs, trees, commits and refs."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import NoReturn

from tests.fake_github.call import Call, route
from tests.fake_github.git_store import Commit, Entry, GitStore, Ident
from tests.fake_github.render_git import RenderGit
from tests.fake_github.repository import Repository
from tests.fake_github.rest import REPO
from tests.fake_github.wire import Json, Refusal, Reply

GIT = f"{REPO}/git"
REF_PARTS = 3


def _render(call: Call) -> RenderGit:
    return RenderGit(call.request.base_url)


def _missing() -> NoReturn:
    raise Refusal(404, "Not Found")


@route("GET", f"{REPO}/contents/{{path+}}")
def get_contents(call: Call) -> Reply:
    """One file, from the default branch unless `ref` names another; folders are not faked."""
    repository, path = call.repository("contents", "read"), call.args["path"]
    ref = call.request.query.get("ref", repository.default_branch)
    sha = repository.git.resolve(ref)
    if sha is None:
        raise Refusal(404, f"No commit found for the ref {ref}")
    entry = dict(repository.git.walk(repository.git.commits[sha].tree)).get(path)
    if entry is None:
        _missing()
    if entry.kind != "blob":
        raise NotImplementedError(f"the fake serves files, not the folder {path}")
    data, url = repository.git.blobs[entry.sha], _render(call).repo_url(repository)
    links = {"url": f"{url}/contents/{path}", "git_url": f"{url}/git/blobs/{entry.sha}", "html_url": url}
    file: dict[str, Json] = {"type": "file", "path": path, "name": path.rpartition("/")[2], "sha": entry.sha}
    file |= {"size": len(data), "encoding": "base64", "content": base64.encodebytes(data).decode()}
    file |= links | {"download_url": f"{url}/raw/{path}"}
    file["_links"] = {"self": links["url"], "git": links["git_url"], "html": links["html_url"]}
    return Reply(200, file)


@route("POST", f"{GIT}/blobs")
def create_blob(call: Call) -> Reply:
    """Keeps bytes, given as text or base64."""
    repository, content = call.repository("contents", "write"), call.text("content")
    try:
        decode = call.body.get("encoding", "utf-8") == "base64"
        data = base64.b64decode(content) if decode else content.encode()
    except binascii.Error:
        raise Refusal(422, "content is not valid Base64") from None
    sha = repository.git.add_blob(data)
    return Reply(201, {"sha": sha, "url": f"{_render(call).repo_url(repository)}/git/blobs/{sha}"})


@route("GET", f"{GIT}/blobs/{{sha}}")
def get_blob(call: Call) -> Reply:
    """One blob in base64."""
    repository, sha = call.repository("contents", "read"), call.args["sha"]
    data = repository.git.blobs.get(sha)
    if data is None:
        _missing()
    url = f"{_render(call).repo_url(repository)}/git/blobs/{sha}"
    body: dict[str, Json] = {
        "sha": sha,
        "node_id": f"B_{sha}",
        "url": url,
        "size": len(data),
        "encoding": "base64",
    }
    return Reply(200, body | {"content": base64.encodebytes(data).decode()})


@route("POST", f"{GIT}/trees")
def create_tree(call: Call) -> Reply:
    """A tree from paths, on top of `base_tree` where given; 422 for a hash that is not there."""
    repository = call.repository("contents", "write")
    git, lines, base = repository.git, call.body.get("tree"), call.body.get("base_tree")
    if not isinstance(lines, list) or not lines:
        raise Refusal(422, "Invalid tree info")
    base = git.commits[base].tree if isinstance(base, str) and base in git.commits else base
    if base is not None and base not in git.trees:
        raise Refusal(404, "Not Found")
    changes = dict(_change(git, line) for line in lines if isinstance(line, dict))
    sha = git.grow(base if isinstance(base, str) else None, changes)
    return Reply(201, _render(call).tree(repository, sha, recursive=False))


def _change(git: GitStore, line: Mapping[str, Json]) -> tuple[str, Entry | None]:
    path, mode, sha, content = (line.get(key) for key in ("path", "mode", "sha", "content"))
    if not isinstance(path, str) or not isinstance(mode, str):
        raise Refusal(422, "Must supply a valid tree.path and tree.mode")
    if isinstance(content, str):
        return path, Entry(mode, git.add_blob(content.encode()))
    if sha is None:
        return path, None
    if not isinstance(sha, str) or sha not in (git.trees if mode == "040000" else git.blobs):
        raise Refusal(422, f"tree.sha {sha} is not a valid {line.get('type')}")
    return path, Entry(mode, sha)


@route("GET", f"{GIT}/trees/{{sha}}")
def get_tree(call: Call) -> Reply:
    """A tree by its own hash, a commit's or a branch; any `recursive` means all of it."""
    repository, name = call.repository("contents", "read"), call.args["sha"]
    commit = repository.git.resolve(name)
    sha = repository.git.commits[commit].tree if commit else name
    if sha not in repository.git.trees:
        _missing()
    return Reply(200, _render(call).tree(repository, sha, recursive="recursive" in call.request.query))


@route("POST", f"{GIT}/commits")
def create_commit(call: Call) -> Reply:
    """A commit; one by an app that leaves the authors to GitHub is signed by GitHub."""
    repository, message = call.repository("contents", "write"), call.text("message")
    git, tree, parents = repository.git, call.text("tree"), call.body.get("parents", [])
    if tree not in git.trees:
        raise Refusal(422, "Tree SHA does not exist")
    named = [parent for parent in parents if isinstance(parent, str)] if isinstance(parents, list) else []
    if any(parent not in git.commits for parent in named):
        raise Refusal(422, "Parent SHA does not exist or is not a commit object")
    author = _ident(call, "author")
    committer = _ident(call, "committer") if "committer" in call.body else author
    signed = bool(
        call.token and call.token.actor.kind == "Bot" and not {"author", "committer"} & set(call.body)
    )
    sha = git.add_commit(Commit(tree, tuple(named), message, author, committer, signed))
    return Reply(201, _render(call).git_commit(repository, sha))


def _ident(call: Call, key: str) -> Ident:
    if call.token is None:
        raise Refusal(401, "Requires authentication")
    actor, given = call.token.actor, call.body.get(key)
    words = given if isinstance(given, dict) else {"name": actor.login, "email": actor.email}
    date = words.get("date")
    moment = datetime.fromisoformat(date) if isinstance(date, str) else call.world.clock.tick()
    return Ident(str(words.get("name")), str(words.get("email")), moment)


@route("GET", f"{GIT}/commits/{{sha}}")
def get_commit(call: Call) -> Reply:
    """One commit by its hash."""
    repository = call.repository("contents", "read")
    if call.args["sha"] not in repository.git.commits:
        _missing()
    return Reply(200, _render(call).git_commit(repository, call.args["sha"]))


@route("GET", f"{REPO}/commits")
def list_commits(call: Call) -> Reply:
    """The history of a branch, a ref or a commit, newest first."""
    repository = call.repository("contents", "read")
    sha = repository.git.resolve(call.request.query.get("sha", repository.default_branch))
    if sha is None:
        raise Refusal(409 if not repository.git.commits else 404, "Git Repository is empty.")
    return call.page(repository.git.history(sha), lambda each: _render(call).commit(repository, each))


@route("GET", f"{REPO}/commits/{{ref+}}")
def get_any_commit(call: Call) -> Reply:
    """The commit that a hash, a branch or a ref stands for."""
    repository = call.repository("contents", "read")
    sha = repository.git.resolve(call.args["ref"])
    if sha is None:
        raise Refusal(422, f"No commit found for SHA: {call.args['ref']}")
    return Reply(200, _render(call).commit(repository, sha))


@route("GET", f"{GIT}/ref/{{ref+}}")
def get_ref(call: Call) -> Reply:
    """One ref by its whole name without `refs/`."""
    repository, name = call.repository("contents", "read"), f"refs/{call.args['ref']}"
    if name not in repository.git.refs:
        _missing()
    return Reply(200, _render(call).ref(repository, name))


@route("GET", f"{GIT}/matching-refs/{{ref+}}")
def matching_refs(call: Call) -> Reply:
    """Every ref that begins so; none is an empty list."""
    repository, prefix = call.repository("contents", "read"), f"refs/{call.args['ref']}"
    names = sorted(name for name in repository.git.refs if name.startswith(prefix))
    return Reply(200, [_render(call).ref(repository, name) for name in names])


@route("POST", f"{GIT}/refs")
def create_ref(call: Call) -> Reply:
    """A new ref; 422 where it exists, its commit does not, or the host refuses such a name."""
    repository, name, sha = call.repository("contents", "write"), call.text("ref"), call.text("sha")
    if len(name.split("/")) < REF_PARTS or not name.startswith("refs/"):
        raise Refusal(422, "Reference name must start with 'refs/' and have at least two slashes")
    if name in repository.git.refs:
        raise Refusal(422, "Reference already exists")
    return _point(call, repository, name, sha, status=201)


@route("PATCH", f"{GIT}/refs/{{ref+}}")
def update_ref(call: Call) -> Reply:
    """Moves a ref, forwards only unless forced: GitHub's compare-and-swap."""
    repository, name = call.repository("contents", "write"), f"refs/{call.args['ref']}"
    git, sha = repository.git, call.text("sha")
    if name not in git.refs:
        raise Refusal(422, "Reference does not exist")
    known = sha in git.commits
    if known and not call.body.get("force") and git.refs[name] not in git.history(sha):
        raise Refusal(422, "Update is not a fast forward")
    return _point(call, repository, name, sha, status=200)


def _point(call: Call, repository: Repository, name: str, sha: str, *, status: int) -> Reply:
    if sha not in repository.git.commits:
        raise Refusal(422, "Object does not exist")
    if name.startswith(repository.refused_refs):
        raise Refusal(422, "Reference cannot be updated")
    repository.git.refs[name] = sha
    return Reply(status, _render(call).ref(repository, name))


@route("DELETE", f"{GIT}/refs/{{ref+}}")
def delete_ref(call: Call) -> Reply:
    """Takes a ref away; the objects stay."""
    repository, name = call.repository("contents", "write"), f"refs/{call.args['ref']}"
    if repository.git.refs.pop(name, None) is None:
        raise Refusal(422, "Reference does not exist")
    return Reply(204)


@route("POST", f"{REPO}/releases")
def create_release(call: Call) -> Reply:
    """A release of a tag that exists; with none, GitHub would make the tag on the default branch."""
    repository, tag = call.repository("contents", "write"), call.text("tag_name")
    if f"refs/tags/{tag}" not in repository.git.refs or call.token is None:
        raise NotImplementedError(f"the fake releases tags that exist, and {tag} does not")
    name = call.body.get("name")
    return Reply(
        201, _render(call).release(repository, tag, str(name), call.token.actor, call.world.clock.now)
    )
